"""What kube does when the API server misbehaves in ways that only the fake one can be asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kube.access import Given
from kube.backoff import Backoff
from kube.client import Client
from kube.errors import BadRequest, Forbidden, ServerError, TooManyRequests, Unauthorized, Unreachable
from kube.fake.faults import Refusal
from kube.fake.server import ApiServer
from kube.informer import Informer
from kube.model import Service
from kube.reflector import Pace
from kube.resource import CONFIG_MAPS, DEPLOYMENTS, SERVICES
from kube.watch import Scope
from tests.shared.kube_world import World, fake_world, run
from tests.shared.waiting import until

QUICK = Pace(silence=1.0, page_size=2, backoff=Backoff(0.02, 0.05))


def on_fake(scenario: Callable[[World, ApiServer], Awaitable[None]]) -> Callable[[], None]:
    def test() -> None:
        async def narrowed(world: World) -> None:
            assert world.server is not None
            await scenario(world, world.server)

        run(fake_world, narrowed)

    test.__name__ = getattr(scenario, "__name__", "test")
    return test


@asynccontextmanager
async def informed(client: Client) -> AsyncIterator[Informer[Service]]:
    informer = Informer(client, SERVICES, pace=QUICK)
    task = asyncio.create_task(informer.run())
    try:
        yield informer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def put(world: World, *names: str) -> None:
    for name in names:
        await world.client.create(SERVICES, {"metadata": {"name": name}}, "default")


def names(informer: Informer[Service]) -> set[str]:
    return {key.name for key, _ in informer.items()}


def state(informer: Informer[Service]) -> Any:
    return informer.states()[""]


@on_fake
async def test_410_as_the_status_of_the_watch_request_leads_to_a_new_list(world: World, server: ApiServer) -> None:
    server.faults.gone_as = "status"
    async with informed(world.client) as informer:
        await until(lambda: state(informer).connected)
        await world.forget_history()
        server.reset_connections()
        await until(lambda: state(informer).lists == 2 and state(informer).connected)
        assert state(informer).expired == 1


@on_fake
async def test_a_list_that_expires_between_pages_is_taken_in_one_page(world: World, server: ApiServer) -> None:
    await put(world, "a", "b", "c", "d", "e")
    server.faults.delay = 0.02

    async def expire() -> None:
        await until(lambda: any(call.verb == "list" for call in server.calls))
        await world.forget_history()

    async with informed(world.client) as informer:
        await asyncio.gather(expire(), informer.wait_synced())
        assert names(informer) == {"a", "b", "c", "d", "e"}
    lists = [call for call in server.calls if call.verb == "list"]
    assert lists[1].status == 410
    assert "limit" not in lists[2].query and len(lists) == 3


@on_fake
async def test_while_the_server_is_away_what_is_known_stays_and_afterwards_it_catches_up(world: World, server: ApiServer) -> None:
    await put(world, "a")
    async with informed(world.client) as informer:
        await until(lambda: state(informer).connected)
        await server.stop()
        await until(lambda: state(informer).failures >= 3)
        assert names(informer) == {"a"} and informer.synced
        assert not state(informer).connected and "Unreachable" in state(informer).error
        await server.start()
        await put(world, "b")
        await until(lambda: names(informer) == {"a", "b"})
        assert state(informer).lists == 1


@on_fake
async def test_a_server_that_is_away_at_the_start_is_waited_for(world: World, server: ApiServer) -> None:
    await server.stop()
    async with informed(world.client) as informer:
        await until(lambda: state(informer).failures >= 2)
        assert not informer.synced and informer.last_contact == 0
        await server.start()
        await until(lambda: informer.synced)


@on_fake
async def test_a_reset_in_the_middle_of_events_loses_none(world: World, server: ApiServer) -> None:
    async with informed(world.client) as informer:
        await until(lambda: state(informer).connected)
        server.faults.reset_watch_after = 3
        await put(world, *"abcdefgh")
        await until(lambda: names(informer) == set("abcdefgh"))
        assert state(informer).lists == 1


@on_fake
async def test_watches_that_end_at_once_do_not_spin(world: World, server: ApiServer) -> None:
    server.faults.refusals.append(Refusal(500, times=10_000, verb="watch"))
    async with informed(world.client) as informer:
        await until(lambda: state(informer).failures >= 5)
        before = len(server.calls)
        await asyncio.sleep(0.3)
        assert len(server.calls) - before <= 0.3 / 0.025 + 2  # at most one for each shortest wait
        assert "500 InternalError" in state(informer).error


@on_fake
async def test_an_object_that_is_not_understood_keeps_its_last_good_state_and_harms_no_other(
    world: World, server: ApiServer
) -> None:
    await put(world, "a", "odd")
    async with informed(world.client) as informer:
        await until(lambda: state(informer).connected)
        good = informer.get("default", "odd")
        await world.client.merge(SERVICES.decoded_as(dict), "odd", {"spec": {"ports": "many"}}, "default")
        await put(world, "b")
        await until(lambda: names(informer) == {"a", "b", "odd"})
        assert informer.get("default", "odd") is good and state(informer).broken == 1
        server.faults.gone_as = "status"
        await world.forget_history()
        server.reset_connections()
        await until(lambda: state(informer).lists == 2 and state(informer).connected)
        assert informer.get("default", "odd") is good and state(informer).broken == 1
        await world.client.merge(SERVICES, "odd", {"spec": {"ports": None}}, "default")
        await until(lambda: state(informer).broken == 0)
        assert informer.get("default", "odd") is not good


@on_fake
async def test_a_handler_that_raises_is_logged_and_the_others_are_called(world: World, server: ApiServer) -> None:
    told = []

    def bad(delta: object) -> None:
        raise LookupError("handler's own trouble")

    async with informed(world.client) as informer:
        logging.getLogger("kube.informer").disabled = True
        informer.subscribe(bad)
        informer.subscribe(lambda delta: told.append(delta.key.name))
        await put(world, "a", "b")
        await until(lambda: told == ["a", "b"])
        logging.getLogger("kube.informer").disabled = False
    assert informer.handler_errors == 2


@on_fake
async def test_who_subscribes_late_is_told_of_everything(world: World, server: ApiServer) -> None:
    await put(world, "a", "b")
    async with informed(world.client) as informer:
        await informer.wait_synced()
        told: list[tuple[str, str]] = []
        informer.subscribe(lambda delta: told.append((delta.kind, delta.key.name)))
        assert told == [("added", "a"), ("added", "b")]


@on_fake
async def test_forbidden_says_which_verb_on_which_resource_to_allow(world: World, server: ApiServer) -> None:
    server.faults.allows = lambda verb, resource, namespace: verb != "patch"
    with pytest.raises(Forbidden, match=r"allow the verb 'patch' on 'deployments\.apps/scale'"):
        await world.client.scale_to(DEPLOYMENTS, "hello", "default", 1)


@on_fake
async def test_a_rejected_token_is_read_again_once(world: World, server: ApiServer) -> None:
    class Rotating(Given):
        def rejected(self) -> None:
            tokens.append("new")

        async def authorization(self) -> str:
            return f"Bearer {tokens[-1]}"

    tokens = ["old"]
    server.faults.tokens = {"new"}
    async with Client(Rotating(server.url)) as client:
        assert await client.list(SERVICES, Scope("default")) == []
        assert [call.status for call in server.calls] == [401, 200]
        server.faults.tokens = {"another"}
        with pytest.raises(Unauthorized, match="check the service account's token"):
            await client.list(SERVICES, Scope("default"))


@on_fake
async def test_a_request_that_is_shed_is_sent_again_after_the_time_named(world: World, server: ApiServer) -> None:
    server.faults.refusals.append(Refusal(429, times=1, verb="create", retry_after=1))
    await put(world, "a")
    assert [call.status for call in server.calls] == [429, 201]
    server.faults.refusals.append(Refusal(429, times=1, verb="create", retry_after=60))
    with pytest.raises(TooManyRequests, match="try again later") as refused:
        await put(world, "b")
    assert refused.value.retry_after == 60


@on_fake
async def test_silence_is_unreachable_within_the_timeout(world: World, server: ApiServer) -> None:
    server.faults.silent = True
    async with Client(server.access(), timeout=0.2) as client:
        with pytest.raises(Unreachable, match=r"no answer from http://127.0.0.1:\d+ within 0.2 s"):
            await client.get(SERVICES, "a", "default")


@on_fake
async def test_a_read_on_a_connection_that_the_server_has_closed_is_sent_again_and_a_write_is_not(
    world: World, server: ApiServer
) -> None:
    """The client cannot see the close before it sends: whether a write was carried out is then unknown."""
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b""]
    seen = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (answer := answers.pop(0) if answers else b"") is not None:
            head = await reader.readuntil(b"\r\n\r\n")
            seen.append(head.split(b" ")[0])
            if not answer:
                break
            writer.write(answer)
        writer.transport.abort()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with Client(Given(url)) as client:
        await client.get(CONFIG_MAPS, "a", "default")
        await client.get(CONFIG_MAPS, "a", "default")
        assert seen == [b"GET", b"GET", b"GET"]
        with pytest.raises(Unreachable):
            await client.create(CONFIG_MAPS, {}, "default")
        assert seen[3:] == [b"POST"]
    listener.close()


@on_fake
async def test_an_answer_that_is_no_json_is_reported_with_its_text(world: World, server: ApiServer) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\nno upstream today")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with Client(Given(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")) as client:
        with pytest.raises(ServerError, match="502 no upstream today"):
            await client.get(SERVICES, "a", "default")
    listener.close()


@on_fake
async def test_a_manager_is_required_for_apply(world: World, server: ApiServer) -> None:
    with pytest.raises(BadRequest, match="fieldManager"):
        await world.client.apply(SERVICES, "a", {}, "", "default")


@on_fake
async def test_in_a_pod_the_token_is_read_again_when_it_is_rejected(world: World, server: ApiServer) -> None:
    """The service account's files as the kubelet lays them down, over plain HTTP."""
    import tempfile

    from kube.access import InCluster

    class Plain(InCluster):
        def tls(self) -> Any:
            return None

    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("token", "first\n"), ("namespace", "shop"), ("ca.crt", "")):
            Path(folder, name).write_text(content)  # noqa: ASYNC240 - a test's own small files
        port = str(urlsplit(server.url).port)
        access = Plain({"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port}, Path(folder))
        assert access.namespace == "shop" and access.server == f"https://127.0.0.1:{port}"
        access.server = server.url
        server.faults.tokens = {"first"}
        async with Client(access) as client:
            await client.list(SERVICES, Scope("shop"))
            Path(folder, "token").write_text("second")  # noqa: ASYNC240
            server.faults.tokens = {"second"}
            await client.list(SERVICES, Scope("shop"))
    assert [call.status for call in server.calls] == [200, 401, 200]
