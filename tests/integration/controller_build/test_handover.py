"""Large sources are handed to the build that has the URL, once and whole, and what keeps them from it is told apart."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable

import httpx2

from controller.kube.build.handover import Handover, one_time_url
from controller.kube.build.names import SOURCE, job_name
from kube.resource import SECRETS
from tests.integration.controller_build.build_stage import staged
from tests.shared.oci_registry import MemoryRegistry

KEY = "0" * 20
Get = Callable[[str], Awaitable[httpx2.Response]]


def run(scenario: Callable[[Get, str, MemoryRegistry], Awaitable[None]]) -> None:
    """With a way to ask the controller, the build's URL, and the registry that keeps its source."""

    async def whole() -> None:
        async with staged(handover="http://controller") as stage:
            sources = stage.source_store(in_secret=0)
            digest = await sources.put({"index.js": b"1" * 5000})
            url = one_time_url(stage.settings, KEY)
            data = {"url": base64.b64encode(url.encode()).decode()}
            secret = {"metadata": {"name": job_name(KEY), "annotations": {SOURCE: digest}}, "data": data}
            await stage.client.create(SECRETS, secret, stage.settings.namespace)
            transport = httpx2.ASGITransport(Handover(stage.client, stage.settings, stage.registry, sources).app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://controller") as http:
                await scenario(http.get, url, stage.images)

    asyncio.run(whole())


def test_a_source_is_handed_out_once_and_whole() -> None:
    async def scenario(get: Get, url: str, images: MemoryRegistry) -> None:
        first = await get(url)
        assert first.status_code == 200 and first.content in images.blobs.values()
        assert (await get(url)).status_code == 410

    run(scenario)


def test_another_url_gets_nothing_and_uses_nothing_up() -> None:
    async def scenario(get: Get, url: str, images: MemoryRegistry) -> None:
        assert (await get(url[:-1])).status_code == 403
        assert (await get(url.replace(KEY, "1" * 20))).status_code == 404
        assert (await get(url)).status_code == 200

    run(scenario)


def test_a_registry_that_is_away_refuses_or_has_lost_it_is_told_apart_and_may_be_asked_again() -> None:
    async def scenario(get: Get, url: str, images: MemoryRegistry) -> None:
        told = []
        for status in (503, 403, 404):
            images.failing = status
            told.append((await get(url)).status_code)
        assert told == [502, 424, 404]
        images.failing = 0
        assert (await get(url)).status_code == 200

    run(scenario)
