"""What tests of builds begin with: a fake API server, an image registry in memory, and the controller's way to both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from controller.kube.build.registry import Registry
from controller.kube.build.settings import BuildSettings
from controller.kube.build.sources import KubeSourceStore
from kube.client import Client
from kube.fake.server import ApiServer
from tests.shared.oci_registry import MemoryRegistry
from tests.shared.serving import serving


@dataclass
class Stage:
    """`images` is what `registry` talks to."""

    server: ApiServer
    client: Client
    images: MemoryRegistry
    registry: Registry
    settings: BuildSettings

    def source_store(self, **limits: Any) -> KubeSourceStore:
        return KubeSourceStore(self.client, self.settings, self.registry, **limits)


@asynccontextmanager
async def staged(**settings: Any) -> AsyncIterator[Stage]:
    """With these settings of builds besides the registry's address."""

    async def none() -> dict[str, str]:
        return {}

    images = MemoryRegistry()
    async with asyncio.timeout(100), ApiServer() as server, Client(server.access()) as client, serving(images) as host:
        registry = Registry(host, none, insecure=True)
        try:
            yield Stage(server, client, images, registry, BuildSettings(registry=f"{host}/f", **settings))
        finally:
            await registry.close()
