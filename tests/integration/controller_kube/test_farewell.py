"""What holds a cluster's objects when the platform is uninstalled is let go, and only that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from controller.kube.farewell import Belongings, clear, let_go
from controller.kube.names import FINALIZER
from controller.kube.objects import FUNCTIONS
from kube.client import Client
from kube.errors import NotFound
from kube.fake.server import ApiServer
from kube.resource import LEASES, SECRETS

Scenario = Callable[[Client], Awaitable[None]]
ANOTHER = "example.com/backup"


def run(scenario: Scenario) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30), ApiServer() as server, Client(server.access()) as client:
            await scenario(client)

    asyncio.run(whole())


async def function(client: Client, namespace: str, name: str, *finalizers: str) -> None:
    await client.create(
        FUNCTIONS, {"metadata": {"name": name, "finalizers": list(finalizers)}, "spec": {"image": "x"}}, namespace
    )


async def finalizers(client: Client, namespace: str, name: str) -> list[str]:
    return list((await client.get(FUNCTIONS, name, namespace)).metadata.finalizers or ())


def test_our_finalizer_comes_off_every_function_and_others_stay_on() -> None:
    async def scenario(client: Client) -> None:
        await function(client, "a", "ours", FINALIZER)
        await function(client, "b", "both", ANOTHER, FINALIZER)
        await function(client, "b", "theirs", ANOTHER)
        assert await let_go(client) == 2
        assert await finalizers(client, "a", "ours") == []
        assert await finalizers(client, "b", "both") == await finalizers(client, "b", "theirs") == [ANOTHER]
        assert await let_go(client) == 0

    run(scenario)


def test_with_namespaces_only_functions_in_these_are_let_go() -> None:
    async def scenario(client: Client) -> None:
        for namespace in ("a", "b", "c"):
            await function(client, namespace, "one", FINALIZER)
        assert await let_go(client, ("a", "c")) == 2
        assert await finalizers(client, "b", "one") == [FINALIZER]

    run(scenario)


def test_a_function_that_waits_to_be_deleted_goes() -> None:
    async def scenario(client: Client) -> None:
        await function(client, "a", "going", FINALIZER)
        await client.delete(FUNCTIONS, "going", "a")
        assert await finalizers(client, "a", "going") == [FINALIZER]
        assert await let_go(client) == 1
        with pytest.raises(NotFound):
            await client.get(FUNCTIONS, "going", "a")

    run(scenario)


def test_a_function_that_somebody_changes_meanwhile_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client) -> None:
        await function(client, "a", "busy", FINALIZER)
        merge, changes = client.merge, iter(["one", "two"])

        async def overtaken(*arguments: object, **options: object) -> object:
            if change := next(changes, ""):
                await merge(FUNCTIONS, "busy", {"metadata": {"labels": {"change": change}}}, "a")
            return await merge(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(client, "merge", overtaken)
        assert await let_go(client) == 1
        after = (await client.get(FUNCTIONS, "busy", "a")).metadata
        assert not after.finalizers and after.labels == {"change": "two"}

    run(scenario)


def test_what_the_processes_made_for_themselves_is_deleted_be_it_there_or_not() -> None:
    async def scenario(client: Client) -> None:
        for name in ("cloudbase-router", "another-s"):
            await client.create(LEASES, {"metadata": {"name": name}}, "system")
        await client.create(SECRETS, {"metadata": {"name": "cloudbase-controller-webhooks"}}, "system")
        own = Belongings("system", ("cloudbase-router", "cloudbase-controller"), ("cloudbase-controller-webhooks",))
        await clear(client, own)
        await clear(client, own)
        assert [each.metadata.name for each in await client.list(LEASES)] == ["another-s"]
        assert await client.list(SECRETS) == []

    run(scenario)
