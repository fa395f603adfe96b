"""The operator over a fake API server: what it writes, when it writes nothing, and who of two does it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controller.errors import Conflict
from controller.kube.control import Builds, Control, LostLease
from controller.kube.no_builds import NoBuilds
from controller.kube.objects import DEPLOYMENTS, FUNCTIONS, PODS, REVISIONS, SERVICES
from controller.kube.settings import Settings
from controller.model import FunctionSpec, Scaling, Share
from kube.client import Client
from kube.errors import NotFound
from kube.fake.server import ApiServer
from kube.resource import LEASES, NAMESPACES, Resource
from tests.shared.waiting import until

WRITES = {"create", "update", "patch", "delete"}
ANY = dict[str, Any]
SPEC = FunctionSpec(image="example/echo:1", scaling=Scaling(initial=1))
NAME = "hello-00001"


class Cluster:
    """A fake API server, and hands that do what Kubernetes' own controllers would."""

    def __init__(self, server: ApiServer, client: Client) -> None:
        self.server, self.client = server, client

    @asynccontextmanager
    async def operator(
        self, identity: str = "one", leads: bool = True, namespaces: tuple[str, ...] = ("default",)
    ) -> AsyncIterator[Control]:
        builds = Builds(NoBuilds(), NoBuilds())
        async with Client(self.server.access(), agent=identity) as client:
            control = Control(client, Settings(namespaces=namespaces, identity=identity), builds)
            task = asyncio.create_task(control.run())
            try:
                await until(lambda: control.leadership.leading if leads else control.synced)
                yield control
            finally:
                task.cancel()
                await asyncio.wait({task})

    async def there(self, resource: Resource[Any], name: str) -> ANY | None:
        try:
            return await self.client.get(resource.decoded_as(dict), name, "default")
        except NotFound:
            return None

    async def pod(self, revision: str, name: str = "", **status: Any) -> None:
        """A pod of the revision, ready unless told otherwise."""
        labels = {
            "app.kubernetes.io/managed-by": "cloudbase",
            "cloudbase.dev/function": "hello",
            "cloudbase.dev/revision": revision,
        }
        ready = {"podIP": "10.0.0.1", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        name = name or f"{revision}-pod"
        await self.client.create(PODS, {"metadata": {"name": name, "labels": labels}}, "default")
        await self.client.merge(PODS, name, {"status": status or ready}, "default", subresource="status")

    async def running(self, control: Control, spec: FunctionSpec = SPEC) -> None:
        """The function hello, applied; its first revision has a pod that is ready."""
        await control.store.apply("default", "hello", spec)
        await until(lambda: self.there(DEPLOYMENTS, NAME))
        await self.pod(NAME)

    async def serving(self, control: Control) -> None:
        """As `running`, and the function is ready."""
        await self.running(control)
        await until(lambda: ready(control))

    async def gone(self, *each: tuple[Resource[Any], str]) -> bool:
        return [await self.there(kind, name) for kind, name in each] == [None] * len(each)

    def writes(self) -> list[tuple[str, str]]:
        leases = LEASES.title
        return [(call.verb, call.resource) for call in self.server.calls if call.verb in WRITES and call.resource != leases]


Scenario = Callable[[Cluster], Awaitable[None]]


def play(scenario: Scenario) -> None:
    async def whole() -> None:
        async with asyncio.timeout(100), ApiServer() as server, Client(server.access()) as client:
            await scenario(Cluster(server, client))

    asyncio.run(whole())


def ready(control: Control, status: str = "True", generation: int = 1) -> bool:
    function = control.store.get("default", "hello")
    if function is None or function.status.observed_generation < generation:
        return False
    return any(each.type == "Ready" and each.status == status for each in function.status.conditions)


async def idle(control: Control) -> None:
    """Until nothing is looked at and nothing is due soon."""
    seen = -1
    while seen != control.reconciler.looks:
        seen = control.reconciler.looks
        await asyncio.sleep(0.3)


def test_a_function_becomes_its_children_and_nothing_is_written_twice_not_even_by_another_controller() -> None:
    async def scenario(c: Cluster) -> None:
        async with c.operator() as control:
            await c.serving(control)
            route = await c.there(SERVICES, "hello")
            assert route is not None
            assert route["metadata"]["annotations"]["cloudbase.dev/backends"] == f'[{{"service": "{NAME}", "weight": 100}}]'
            assert "selector" not in route["spec"]
            assert list(await control.deployer.heard("default", "hello")) == [f"{NAME}-pod"]
            assert not await control.deployer.heard("default", "another")
            await idle(control)
        before = len(c.writes())
        print(f"{before} writes: {c.writes()}")
        async with c.operator("two") as control:
            await until(lambda: control.reconciler.looks)
            await idle(control)
            assert ready(control)
        assert c.writes()[before:] == []

    play(scenario)


def test_a_function_costs_few_requests_and_a_restart_none_but_lists_and_watches() -> None:
    async def scenario(c: Cluster) -> None:
        count = 40
        unproven = {"image": "example/echo:1", "scaling": {"initial": 0}}
        async with c.operator() as control:
            for number in range(count):
                await c.client.create(FUNCTIONS, {"metadata": {"name": f"f{number}"}, "spec": unproven}, "default")
            await until(lambda: sum(each.status.revision != "" for each in control.store.list()) == count)
            await idle(control)
        before = len(c.server.calls)
        asked = [call for call in c.server.calls if call.agent == "one" and call.resource != LEASES.title]
        assert len(asked) / count < 11
        async with c.operator("two") as control:
            await until(lambda: control.reconciler.looks >= count)
            await idle(control)
        again = {call.verb for call in c.server.calls[before:] if call.agent == "two" and call.resource != LEASES.title}
        assert again == {"list", "watch"}

    play(scenario)


def test_what_is_deleted_or_edited_comes_back_with_the_replicas_that_routers_wanted() -> None:
    async def scenario(c: Cluster) -> None:
        async with c.operator() as control:
            await c.serving(control)
            await c.client.scale_to(DEPLOYMENTS, NAME, "default", 4)
            await until(lambda: control.store.get("default", "hello").status.wanted == 4)  # type: ignore[union-attr]
            patch = {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}}
            await c.client.merge(DEPLOYMENTS, NAME, patch, "default")

            async def right() -> bool:
                found = await c.there(DEPLOYMENTS, NAME)
                return found is not None and not found["spec"]["template"]["spec"]["automountServiceAccountToken"]

            await until(right)
            await c.client.delete(DEPLOYMENTS, NAME, "default")
            await until(lambda: c.there(DEPLOYMENTS, NAME))
            found = await c.there(DEPLOYMENTS, NAME)
            assert found is not None
            assert found["spec"]["replicas"] == 4
            await c.client.delete(SERVICES, "hello", "default")
            await until(lambda: c.there(SERVICES, "hello"))
            await c.client.delete(SERVICES, NAME, "default")
            await until(lambda: c.there(SERVICES, NAME))

    play(scenario)


def test_a_namespace_that_is_deleted_takes_its_functions_along_before_kubernetes_comes_to_them() -> None:
    async def scenario(c: Cluster) -> None:
        await c.client.create(NAMESPACES, {"metadata": {"name": "default", "finalizers": ["kubernetes"]}})
        async with c.operator(namespaces=()) as control:
            await c.serving(control)
            await c.client.delete(NAMESPACES, "default")
            await until(lambda: control.ending("default"))
            with pytest.raises(Conflict, match="is being deleted"):
                await control.store.apply("default", "hello", FunctionSpec(image="example/echo:2"))
            await until(lambda: c.gone((SERVICES, "hello"), (DEPLOYMENTS, NAME), (SERVICES, NAME)))
            await c.client.delete(PODS, f"{NAME}-pod", "default")  # as Kubernetes does when its Deployment has gone
            await until(lambda: c.gone((REVISIONS, NAME)))
            await until(lambda: control.store.get("default", "hello") is None)
            function = await c.there(FUNCTIONS, "hello")
            assert function is not None, "Kubernetes deletes it when it comes to it"
            assert not function["metadata"].get("finalizers")
            await idle(control)
        before = len(c.writes())
        async with c.operator("two", namespaces=()) as control:
            await control.reconciler.synced.wait()
            await idle(control)
        assert c.writes()[before:] == []

    play(scenario)


def test_what_is_left_of_a_revision_that_nobody_knows_goes() -> None:
    async def scenario(c: Cluster) -> None:
        async with c.operator() as control:
            await c.serving(control)
            own = await c.there(SERVICES, NAME)
            assert own is not None
            labels = {**own["metadata"]["labels"], "cloudbase.dev/revision": "hello-00099"}
            owners = own["metadata"]["ownerReferences"]
            await c.client.create(
                SERVICES,
                {"metadata": {"name": "hello-00099", "labels": labels, "ownerReferences": owners}, "spec": {}},
                "default",
            )
            await until(lambda: c.gone((SERVICES, "hello-00099")))
            await idle(control)
            assert await c.there(SERVICES, NAME) is not None
            assert ready(control)

    play(scenario)


def test_a_service_of_somebody_else_is_left_alone_and_the_status_says_so() -> None:
    async def scenario(c: Cluster) -> None:
        theirs = {"metadata": {"name": "hello"}, "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 1}]}}
        await c.client.create(SERVICES, theirs, "default")
        async with c.operator() as control:
            await c.running(control)
            await until(lambda: ready(control, "False"))
            function = control.store.get("default", "hello")
            assert function is not None
            words = next(each.message for each in function.status.conditions if each.type == "Ready")
            assert "Service default/hello that is not this function's" in words
            await c.client.delete(SERVICES, "hello", "default")
            await until(lambda: ready(control))

    play(scenario)


def test_a_spec_that_cannot_work_is_told_in_the_status_though_no_webhook_refused_it() -> None:
    async def scenario(c: Cluster) -> None:
        async with c.operator() as control:
            await c.client.create(
                FUNCTIONS, {"metadata": {"name": "hello"}, "spec": {"image": "a", "runtime": "cobol"}}, "default"
            )

            async def told() -> bool:
                found = await c.there(FUNCTIONS, "hello")
                conditions = ((found or {}).get("status") or {}).get("conditions") or []
                return any(each["reason"] == "Invalid" and "runtime: must be absent" in each["message"] for each in conditions)

            await until(told)
            assert control.store.get("default", "hello") is None

    play(scenario)


def test_a_function_goes_in_order_and_is_gone_without_a_trace() -> None:
    async def scenario(c: Cluster) -> None:
        async with c.operator() as control:
            await c.serving(control)
            await c.client.delete(FUNCTIONS, "hello", "default")
            await until(lambda: c.gone((DEPLOYMENTS, NAME)))
            assert await c.there(FUNCTIONS, "hello") is not None  # it stays while something of it runs
            await c.client.delete(PODS, f"{NAME}-pod", "default")
            whole = ((FUNCTIONS, "hello"), (SERVICES, "hello"), (SERVICES, NAME), (DEPLOYMENTS, NAME), (REVISIONS, NAME))
            await until(lambda: c.gone(*whole))

    play(scenario)


def test_a_new_revision_takes_over_when_it_is_ready_and_an_old_one_comes_back_by_name() -> None:
    async def scenario(c: Cluster) -> None:
        async with c.operator() as control:
            await c.serving(control)
            newer = FunctionSpec(image="example/echo:2")
            await control.store.apply("default", "hello", newer)
            await until(lambda: c.there(DEPLOYMENTS, "hello-00002"))
            message = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 2}
            ended = {"terminated": {"exitCode": 3, "message": "a\nno database"}}
            await c.pod("hello-00002", phase="Running", containerStatuses=[{"name": "f", **message, "lastState": ended}])
            await until(lambda: ready(control, "False", 2))
            function = control.store.get("default", "hello")
            assert function is not None
            words = next(each.message for each in function.status.conditions if each.type == "Ready")
            assert "exited with status 3: a | no database" in words
            assert function.status.traffic == (Share(revision=NAME, percent=100),)
            await c.client.delete(PODS, "hello-00002-pod", "default")
            await c.pod("hello-00002")
            await until(lambda: ready(control, generation=2))
            await c.client.delete(PODS, f"{NAME}-pod", "default")
            await until(lambda: c.gone((DEPLOYMENTS, NAME)))
            back = FunctionSpec(image="example/echo:2", traffic=(Share(revision=NAME, percent=100),))
            await c.running(control, back)

            async def routed() -> bool:
                found = await c.there(SERVICES, "hello")
                return found is not None and NAME in found["metadata"]["annotations"]["cloudbase.dev/backends"]

            await until(routed)

    play(scenario)


def test_of_two_controllers_one_works_and_the_other_takes_over() -> None:
    async def scenario(c: Cluster) -> None:
        async with c.operator("two-steps") as first, c.operator("waits", leads=False) as second:
            await first.store.apply("default", "hello", SPEC)
            await until(lambda: c.there(DEPLOYMENTS, NAME))
            assert (first.leadership.leading, second.leadership.leading) == (True, False)
            assert second.reconciler.looks == 0

    play(scenario)


def test_one_that_loses_its_lease_ends_and_writes_nothing_any_more(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(c: Cluster) -> None:
        caplog.set_level(logging.CRITICAL)
        async with Client(c.server.access()) as client:
            control = Control(client, Settings(namespaces=("default",), identity="one"), Builds(NoBuilds(), NoBuilds()))
            task = asyncio.create_task(control.run())
            await until(lambda: control.leadership.leading)
            await c.client.merge(LEASES, "cloudbase-controller", {"spec": {"holderIdentity": "thief"}}, "default")
            await asyncio.wait({task}, timeout=20)
            with pytest.raises(ExceptionGroup) as caught:
                task.result()
            assert caught.value.split(LostLease)[1] is None

    play(scenario)
