"""A controller that builds nothing, because no registry is set: images of one's own run, sources are refused with the way out."""

from __future__ import annotations

from collections.abc import Callable, Collection

from controller.errors import StoreFailed
from controller.model import Function
from controller.ports import BuildResult

_WAY_OUT = "no registry is set to push images to: set CONTROLLER_BUILD_REGISTRY, or give the function an image"


class NoBuilds:
    """controller.ports.Builder and SourceStore."""

    async def build(self, function: Function, progress: Callable[[str], None]) -> BuildResult:
        return BuildResult(reason="NoRegistry", message=_WAY_OUT)

    async def settle(self, leftover: str) -> None:
        """Nothing is kept."""

    async def put(self, files: dict[str, bytes]) -> str:
        raise StoreFailed(_WAY_OUT)

    async def put_archive(self, data: bytes) -> str:
        raise StoreFailed(_WAY_OUT)

    async def has(self, digest: str) -> bool:
        return False

    async def prune(self, keep: Collection[str]) -> int:
        return 0
