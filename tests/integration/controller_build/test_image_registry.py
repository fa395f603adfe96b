"""The image registry as the controller talks to it: artifacts there and back, and whoever is asked who they are answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import pytest

from controller.kube.build.registry import Registry, RegistryError, basic_credentials
from tests.shared.oci_registry import BASIC, MemoryRegistry
from tests.shared.serving import serving

CONTENT = b"x" * 3_000_000


def run(server: MemoryRegistry, scenario: Callable[[Registry], Awaitable[None]], basic: str = BASIC) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60), serving(server) as host:

            async def credentials() -> Mapping[str, str]:
                return {host: basic} if basic else {}

            registry = Registry(host, credentials, insecure=True, timeout=5)
            try:
                await scenario(registry)
            finally:
                await registry.close()

    asyncio.run(whole())


@pytest.mark.parametrize("auth", ["", "basic", "bearer"])
def test_an_artifact_comes_back_as_it_was_pushed_and_can_be_deleted(auth: Literal["", "basic", "bearer"]) -> None:
    async def scenario(registry: Registry) -> None:
        digest = await registry.push("some/sources", "a-tag", CONTENT)
        assert await registry.push("some/sources", "a-tag", CONTENT) == digest
        async with registry.pull("some/sources", digest) as (size, chunks):
            assert size == len(CONTENT)
            assert b"".join([chunk async for chunk in chunks]) == CONTENT
        assert await registry.has("some/sources", "a-tag") and await registry.has("some/sources", digest)
        assert await registry.delete("some/sources", digest)
        assert not await registry.has("some/sources", digest)
        assert not await registry.delete("some/sources", digest)

    run(MemoryRegistry(auth), scenario)


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("credentials", ["", "Basic d3Jvbmc6"])
def test_wrong_credentials_and_none_are_told_and_are_no_matter_of_time(
    auth: Literal["basic", "bearer"], credentials: str
) -> None:
    async def scenario(registry: Registry) -> None:
        with pytest.raises(RegistryError, match="other credentials") as caught:
            await registry.has("x", "y")
        assert not caught.value.away

    run(MemoryRegistry(auth), scenario, credentials)


def test_a_registry_that_is_away_or_unwell_may_come_back() -> None:
    server = MemoryRegistry()

    async def scenario(registry: Registry) -> None:
        server.failing = 503
        with pytest.raises(RegistryError, match="503") as caught:
            await registry.push("x", "y", b"z")
        assert caught.value.away

    run(server, scenario)

    async def nobody() -> None:
        async def none() -> Mapping[str, str]:
            return {}

        registry = Registry("127.0.0.1:9", none, insecure=True, timeout=2)
        with pytest.raises(RegistryError, match=r"127\.0\.0\.1:9 could not be reached") as caught:
            await registry.has("x", "y")
        assert caught.value.away
        await registry.close()

    asyncio.run(nobody())


def test_a_registry_that_deletes_nothing_is_left_as_it_is() -> None:
    async def scenario(registry: Registry) -> None:
        digest = await registry.push("x", "y", b"z")
        assert not await registry.delete("x", digest)

    run(MemoryRegistry(deletes=False), scenario)


def test_credentials_are_read_as_docker_writes_them() -> None:
    config = {
        "auths": {"https://index.docker.io/v1/": {"auth": "YTpi"}, "r:5000": {"username": "a", "password": "b"}, "empty": {}}
    }
    assert basic_credentials(json.dumps(config).encode()) == {"docker.io": "Basic YTpi", "r:5000": "Basic YTpi"}
    with pytest.raises(ValueError, match="Expecting value"):
        basic_credentials(b"nonsense")
