"""What became of builds, kept by key in ConfigMaps: so that nothing is built twice, whoever asks and however often we restart."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from controller.documents import unix
from controller.kube.build import names, render
from controller.kube.build.names import MANAGER
from controller.kube.build.registry import Registry, RegistryError
from controller.kube.build.render import Task
from controller.kube.build.settings import BuildSettings
from kube.client import Client
from kube.errors import NotFound
from kube.resource import CONFIG_MAPS
from kube.watch import Scope


@dataclass(frozen=True, slots=True)
class Kept:
    """An image that was built."""

    artifact: str
    log: tuple[str, ...] = ()


class Results:
    """Images by the key of their build."""

    def __init__(
        self, client: Client, settings: BuildSettings, registry: Registry, *, young: float = 600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """`young`: seconds that an image nobody references yet is kept."""
        self._client, self._settings, self._registry = client, settings, registry
        self._namespace, self._young, self._clock = settings.namespace, young, clock

    async def get(self, key: str) -> Kept | None:
        """The image of a key, unless the registry has lost it. Raises KubeError."""
        try:
            found = await self._client.get(CONFIG_MAPS, names.result_name(key), self._namespace)
        except NotFound:
            return None
        kept = _kept(found)
        return kept if kept.artifact and await self._is_there(kept.artifact) else None

    async def put(self, task: Task, artifact: str, seconds: float, log: tuple[str, ...]) -> None:
        """Raises KubeError."""
        body = render.result(task, artifact, seconds, log)
        await self._client.apply(CONFIG_MAPS, body["metadata"]["name"], body, MANAGER, self._namespace, force=True)

    async def prune(self, keep: Collection[str]) -> int:
        """Delete the images that are not in `keep`, where the registry allows it, and forget them. Raises KubeError."""
        selector = ",".join(f"{key}={value}" for key, value in names.labels("result").items())
        count = 0
        for found in await self._client.list(CONFIG_MAPS, Scope(self._namespace, selector)):
            kept = _kept(found)
            if kept.artifact in keep or unix(found["metadata"]["creationTimestamp"]) > self._clock() - self._young:
                continue
            await self._delete_image(kept.artifact)
            await self._forget(found["metadata"]["name"])
            count += 1
        return count

    async def _is_there(self, artifact: str) -> bool:
        """A registry that cannot be asked now is believed to have it: nodes may have the image, too."""
        try:
            return await self._registry.has(*names.pushed(self._settings, artifact))
        except RegistryError:
            return True

    async def _delete_image(self, artifact: str) -> None:
        try:
            await self._registry.delete(*names.pushed(self._settings, artifact))
        except RegistryError:
            pass  # it stays in the registry, whose own clean-up is the operator's; that nothing refers to it is all we need

    async def _forget(self, name: str) -> None:
        try:
            await self._client.delete(CONFIG_MAPS, name, self._namespace)
        except NotFound:
            pass  # it is what was wanted


def _kept(found: dict[str, Any]) -> Kept:
    data = found.get("data") or {}
    return Kept(data.get("artifact", ""), tuple(data.get("log", "").splitlines()))
