"""Puts the parts of builds together: what the controller's process needs is one `async with`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from controller.kube.build.builder import KubeBuilder
from controller.kube.build.handover import Handover
from controller.kube.build.recipes import recipes
from controller.kube.build.registry import Credentials, Registry, RegistryError, basic_credentials
from controller.kube.build.settings import BuildSettings
from controller.kube.build.sources import KubeSourceStore
from kube.client import Client
from kube.errors import KubeError
from kube.resource import SECRETS


@dataclass(frozen=True, slots=True)
class Parts:
    """Two ports of the controller, and `handover.routes`, to be served without authentication at `settings.handover`."""

    registry: Registry
    sources: KubeSourceStore
    builder: KubeBuilder
    handover: Handover


@asynccontextmanager
async def building(client: Client, settings: BuildSettings) -> AsyncIterator[Parts]:
    """Builds can be asked for inside of this; what goes on outside of it, see `KubeBuilder.detach`."""
    host = settings.registry.partition("/")[0]
    registry = Registry(host, credentials(client, settings), insecure=settings.insecure, ca=settings.registry_ca)
    sources = KubeSourceStore(client, settings, registry)
    builder = KubeBuilder(client, settings, sources, registry, await asyncio.to_thread(recipes))
    following = asyncio.create_task(builder.run(), name="follow builds")
    try:
        yield Parts(registry, sources, builder, Handover(client, settings, registry, sources))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await registry.close()


def credentials(client: Client, settings: BuildSettings) -> Credentials:
    """Those of the operator's Secret, read whenever the registry asks who we are: it may change."""

    async def read() -> Mapping[str, str]:
        if not settings.registry_secret:
            return {}
        try:
            found = await client.get(SECRETS, settings.registry_secret, settings.namespace)
            return basic_credentials(base64.b64decode((found.get("data") or {})[".dockerconfigjson"]))
        except KubeError as error:
            raise RegistryError(f"the credentials of the image registry cannot be read: {error}", away=True) from error
        except (KeyError, ValueError) as error:
            name = f"{settings.namespace}/{settings.registry_secret}"
            raise RegistryError(f"the Secret {name} holds no .dockerconfigjson that can be read: {error!r}") from error

    return read
