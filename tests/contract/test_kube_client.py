"""What kube.client promises, over the fake API server and over a real one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kube.errors import AlreadyExists, ApplyConflict, Conflict, Gone, Invalid, NotFound
from kube.model import Service
from kube.resource import CONFIG_MAPS, DEPLOYMENTS, EVENTS, SERVICES, Resource
from kube.watch import Scope
from tests.shared.kube_world import World, on_both


def service(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"ports": [{"port": 80, "targetPort": "http"}]}}


def deployment(replicas: int | None, image: str = "busybox:stable") -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "idle"}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    # Paused: nothing is rolled out, so there are no pods and the deployment controller hardly writes in between.
    spec: dict[str, Any] = {"paused": True, "selector": {"matchLabels": {"app": "idle"}}, "template": template}
    return {"spec": spec if replicas is None else {**spec, "replicas": replicas}}


async def replica_owners(world: World) -> list[str]:
    """The field managers that own `spec.replicas`, directly or through /scale."""
    found = await world.client.get(DEPLOYMENTS.decoded_as(dict), "idle", world.namespace)
    entries = found["metadata"].get("managedFields", [])
    return [entry["manager"] for entry in entries if "f:replicas" in entry["fieldsV1"].get("f:spec", {})]


@on_both
async def test_what_is_created_can_be_read_listed_and_deleted(world: World) -> None:
    made = await world.client.create(SERVICES, service("hello", tier="front"), world.namespace)
    assert made.metadata.uid and made.metadata.resource_version and made.metadata.labels == {"tier": "front"}
    assert made.spec.ports is not None and made.spec.ports[0].target_port == "http"

    assert await world.client.get(SERVICES, "hello", world.namespace) == made
    assert [s.metadata.name for s in await world.client.list(SERVICES, Scope(world.namespace))] == ["hello"]

    await world.client.delete(SERVICES, "hello", world.namespace)
    with pytest.raises(NotFound) as gone:
        await world.client.get(SERVICES, "hello", world.namespace)
    assert f"get services {world.namespace}/hello: 404 NotFound" in str(gone.value)


@on_both
async def test_requests_are_counted_by_verb_and_answer(world: World) -> None:
    before = world.client.answers.copy()
    await world.client.create(SERVICES, service("hello"), world.namespace)
    with pytest.raises(NotFound):
        await world.client.get(SERVICES, "other", world.namespace)
    assert world.client.answers - before == {("create", "201"): 1, ("get", "404"): 1}


@on_both
async def test_an_object_decodes_into_any_struct_or_dict(world: World) -> None:
    await world.client.create(SERVICES, service("hello"), world.namespace)
    whole: dict[str, Any] = await world.client.get(SERVICES.decoded_as(dict), "hello", world.namespace)
    assert whole["spec"]["ports"][0]["port"] == 80


@on_both
async def test_a_second_create_says_that_it_already_exists(world: World) -> None:
    await world.client.create(SERVICES, service("hello"), world.namespace)
    with pytest.raises(AlreadyExists):
        await world.client.create(SERVICES, service("hello"), world.namespace)


@on_both
async def test_an_invalid_object_is_refused_with_the_field(world: World) -> None:
    with pytest.raises(Invalid) as refused:
        await world.client.create(CONFIG_MAPS, {"metadata": {"name": "No_DNS_Name"}}, world.namespace)
    assert "metadata.name" in [cause.field for cause in refused.value.causes]
    assert "correct metadata.name" in str(refused.value)


@on_both
async def test_an_unknown_kind_is_not_found_and_the_advice_names_the_crd(world: World) -> None:
    unknown = Resource("nowhere.example", "v1", "things", "Thing", Service)
    with pytest.raises(NotFound, match="install its CRD"):
        await world.client.get(unknown, "any", world.namespace)


@on_both
async def test_writes_on_an_outdated_version_are_conflicts(world: World) -> None:
    first = await world.client.create(CONFIG_MAPS, {"metadata": {"name": "c"}, "data": {"a": "1"}}, world.namespace)
    version = first["metadata"]["resourceVersion"]
    await world.client.merge(CONFIG_MAPS, "c", {"data": {"b": "2"}}, world.namespace)

    with pytest.raises(Conflict):
        await world.client.replace(CONFIG_MAPS, "c", {**first, "data": {}}, world.namespace)
    with pytest.raises(Conflict):
        await world.client.merge(CONFIG_MAPS, "c", {"metadata": {"resourceVersion": version}, "data": {}}, world.namespace)
    with pytest.raises(Conflict):
        await world.client.delete(CONFIG_MAPS, "c", world.namespace, resource_version=version)
    with pytest.raises(Conflict):
        await world.client.delete(CONFIG_MAPS, "c", world.namespace, uid="another")
    now = await world.client.get(CONFIG_MAPS, "c", world.namespace)
    assert now["data"] == {"a": "1", "b": "2"}


@on_both
async def test_a_merge_patch_deletes_with_null(world: World) -> None:
    await world.client.create(CONFIG_MAPS, {"metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}, world.namespace)
    after = await world.client.merge(CONFIG_MAPS, "c", {"data": {"a": None}}, world.namespace)
    assert after["data"] == {"b": "2"}


@on_both
async def test_a_write_that_changes_nothing_makes_no_new_version(world: World) -> None:
    made = await world.client.create(CONFIG_MAPS, {"metadata": {"name": "c"}, "data": {"a": "1"}}, world.namespace)
    same = await world.client.merge(CONFIG_MAPS, "c", {"data": {"a": "1"}}, world.namespace)
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@on_both
async def test_apply_creates_changes_and_gives_up_fields(world: World) -> None:
    async def apply(data: dict[str, str]) -> dict[str, Any]:
        return await world.client.apply(CONFIG_MAPS, "c", {"metadata": {"name": "c"}, "data": data}, "us", world.namespace)

    assert (await apply({"a": "1", "b": "2"}))["data"] == {"a": "1", "b": "2"}
    await world.client.merge(CONFIG_MAPS, "c", {"data": {"theirs": "3"}}, world.namespace, manager="them")
    assert (await apply({"a": "9"}))["data"] == {"a": "9", "theirs": "3"}


@on_both
async def test_apply_names_the_field_and_the_manager_it_conflicts_with_and_force_takes_it(world: World) -> None:
    await world.client.apply(DEPLOYMENTS, "idle", deployment(0), "us", world.namespace)
    await world.client.merge(DEPLOYMENTS, "idle", {"spec": {"replicas": 2}}, world.namespace, manager="a-human")

    with pytest.raises(ApplyConflict) as conflict:
        await world.client.apply(DEPLOYMENTS, "idle", deployment(0), "us", world.namespace)
    assert [cause.field for cause in conflict.value.causes] == [".spec.replicas"]
    assert "a-human" in str(conflict.value)

    taken = await world.client.apply(DEPLOYMENTS, "idle", deployment(0), "us", world.namespace, force=True)
    assert taken.spec.replicas == 0
    assert await replica_owners(world) == ["us"]


@on_both
async def test_apply_leaves_alone_what_it_does_not_name(world: World) -> None:
    await world.client.apply(DEPLOYMENTS, "idle", deployment(None), "us", world.namespace)
    await world.client.scale_to(DEPLOYMENTS, "idle", world.namespace, 3, manager="scaler")
    again = await world.client.apply(DEPLOYMENTS, "idle", deployment(None, "busybox:other"), "us", world.namespace)
    assert again.spec.replicas == 3


@on_both
async def test_a_direct_write_of_replicas_can_be_told_from_managed_fields(world: World) -> None:
    await world.client.apply(DEPLOYMENTS, "idle", deployment(None), "us", world.namespace)
    await world.client.merge(DEPLOYMENTS, "idle", {"spec": {"replicas": 2}}, world.namespace, manager="a-human")
    assert await replica_owners(world) == ["a-human"]
    await world.client.scale_to(DEPLOYMENTS, "idle", world.namespace, 3, manager="scaler")
    assert await replica_owners(world) == ["scaler"]


@on_both
async def test_scaling_to_zero_leaves_nobody_owning_the_replicas_and_scaling_up_does_not_change_that(world: World) -> None:
    """The API server's Scale leaves a zero out, so its field manager sees no field; and /scale only hands ownership over.

    Whoever scales to zero and back must not look into managedFields for who scaled.
    """
    await world.client.apply(DEPLOYMENTS, "idle", deployment(1), "us", world.namespace)
    await world.client.scale_to(DEPLOYMENTS, "idle", world.namespace, 0, manager="scaler")
    at_zero = await world.client.get(DEPLOYMENTS, "idle", world.namespace)
    assert (at_zero.spec.replicas, await replica_owners(world)) == (0, [])
    await world.client.scale_to(DEPLOYMENTS, "idle", world.namespace, 2, manager="scaler")
    up_again = await world.client.get(DEPLOYMENTS, "idle", world.namespace)
    assert (up_again.spec.replicas, await replica_owners(world)) == (2, [])


@on_both
async def test_scale_is_read_and_written_with_the_version_it_was_decided_on(world: World) -> None:
    await world.client.create(DEPLOYMENTS, {"metadata": {"name": "idle"}, **deployment(0)}, world.namespace)
    scale = await world.client.scale(DEPLOYMENTS, "idle", world.namespace)
    assert scale.spec.replicas == 0

    await world.client.merge(DEPLOYMENTS, "idle", {"metadata": {"annotations": {"x.example/y": "1"}}}, world.namespace)
    with pytest.raises(Conflict):
        await world.client.scale_to(
            DEPLOYMENTS, "idle", world.namespace, 3, resource_version=scale.metadata.resource_version, manager="scaler"
        )
    assert (await world.client.scale(DEPLOYMENTS, "idle", world.namespace)).spec.replicas == 0

    for _ in range(20):  # a real deployment controller writes the status in between: decide again, as a caller would
        fresh = await world.client.scale(DEPLOYMENTS, "idle", world.namespace)
        version = fresh.metadata.resource_version
        try:
            after = await world.client.scale_to(DEPLOYMENTS, "idle", world.namespace, 0, resource_version=version)
            break
        except Conflict:
            await asyncio.sleep(0.05)
    assert after.spec.replicas == 0


@on_both
async def test_a_list_is_taken_page_by_page_under_selectors(world: World) -> None:
    for number in range(7):
        await world.client.create(SERVICES, service(f"s{number}", parity="even" if number % 2 == 0 else "odd"), world.namespace)

    pages = [page async for page in world.client.pages(SERVICES, Scope(world.namespace), size=3)]
    assert [len(page.items) for page in pages] == [3, 3, 1]
    assert len({page.resource_version for page in pages}) == 1

    even = await world.client.list(SERVICES, Scope(world.namespace, labels="parity=even"))
    assert [s.metadata.name for s in even] == ["s0", "s2", "s4", "s6"]
    one = await world.client.list(SERVICES, Scope(world.namespace, fields="metadata.name=s3"))
    assert [s.metadata.name for s in one] == ["s3"]


@on_both
async def test_an_expired_continue_token_is_gone(world: World) -> None:
    scope = await some_events(world)
    token = (await anext(world.client.pages(EVENTS, scope, size=1))).continue_token
    await world.forget_history()
    with pytest.raises(Gone, match="list again"):
        await anext(world.client.pages(EVENTS, scope, size=1, continue_token=world.aged(token)))


@on_both
async def test_a_watch_from_a_compacted_version_is_gone(world: World) -> None:
    scope = await some_events(world)
    await world.forget_history()
    with pytest.raises(Gone, match="list again"):
        async with world.client.watch(EVENTS, scope, "1", lasting=3, silence=10) as watch:
            async for _ in watch.batches():
                pass


async def some_events(world: World) -> Scope:
    """Three objects of the one kind that a real API server has no watch cache for: there compaction shows."""
    for number in range(3):
        about = {"kind": "Service", "namespace": world.namespace, "name": "hello"}
        event = {"eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "x.example/test", "reportingInstance": "1"}
        event |= {"type": "Normal", "reason": "Testing", "action": "Testing"}
        body = {"metadata": {"name": f"e{number}"}, **event, "regarding": about}
        await world.client.create(EVENTS, body, world.namespace)
    return Scope(world.namespace)


@on_both
async def test_a_watch_tells_of_every_change_in_order_and_ends_with_a_bookmark(world: World) -> None:
    scope = Scope(world.namespace, labels="watched=yes")
    [page] = [page async for page in world.client.pages(SERVICES, scope)]

    async def change() -> None:
        await world.client.create(SERVICES, service("a", watched="yes"), world.namespace)
        await world.client.create(SERVICES, service("b", watched="no"), world.namespace)
        await world.client.merge(SERVICES, "a", {"metadata": {"annotations": {"k": "v"}}}, world.namespace)
        await world.client.merge(SERVICES, "b", {"metadata": {"labels": {"watched": "yes"}}}, world.namespace)
        await world.client.merge(SERVICES, "b", {"metadata": {"labels": {"watched": "no"}}}, world.namespace)
        await world.client.delete(SERVICES, "a", world.namespace)

    events = []
    # A real API server sends its last bookmark two seconds before the end: what is changed has to be told by then.
    lasting = 3 if world.server else 8
    async with world.client.watch(SERVICES, scope, page.resource_version, lasting=lasting, silence=20) as watch:
        await change()
        async for batch in watch.batches():
            events += batch
    told = [(e.type, e.object.metadata.name) for e in events if e.object is not None and e.type != "BOOKMARK"]
    assert told == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "b"), ("DELETED", "a")]
    last = events[-1]
    assert last.type == "BOOKMARK" and last.object is not None and last.object.metadata.resource_version
