"""Keeps source trees in `sources/<sha256>.tar.gz`, named by the digest of their canonical tar; never half a one.

Work is done in threads, several at a time: a tree is written under a name of its own, made durable, then renamed into place.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO

from controller import archive, tarball
from controller.errors import StoreFailed

_UNFINISHED = ".unfinished-"


class LocalSourceStore:
    """SourceStore in a folder."""

    def __init__(
        self,
        folder: Path,
        limits: archive.Limits | None = None,
        young: float = 600.0,  # seconds that a tree nobody references is kept: its function may be about to be stored
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the folder, made when it is missing, and clear what a killed process left. Raises StoreFailed."""
        self._folder, self._young, self._clock = folder, young, clock
        self._limits = limits or archive.Limits()
        with _translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f"{_UNFINISHED}*"):
                left.unlink(missing_ok=True)

    async def put(self, files: dict[str, bytes]) -> str:
        return await asyncio.to_thread(lambda: self._keep(archive.from_files(files, self._limits)))

    async def put_archive(self, data: bytes) -> str:
        return await asyncio.to_thread(lambda: self._keep(tarball.read(data, self._limits)))

    async def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def path(self, digest: str) -> Path:
        """Where the tar.gz of the digest is, or would be."""
        return self._folder / f"{digest.removeprefix('sha256:')}.tar.gz"

    async def prune(self, keep: Collection[str]) -> int:
        return await asyncio.to_thread(self._prune, keep)

    def _prune(self, keep: Collection[str]) -> int:
        kept = {self.path(digest) for digest in keep}
        count = 0
        with _translated(self._folder):
            for path in self._folder.glob("*.tar.gz"):
                if path not in kept and path.stat().st_mtime <= self._clock() - self._young:
                    path.unlink(missing_ok=True)
                    count += 1
        return count

    def _keep(self, tree: archive.Tree) -> str:
        with _translated(self._folder), self._unfinished() as (file, path):
            sha256 = hashlib.sha256()
            with gzip.GzipFile("", "wb", 1, file, mtime=0) as packed:
                for chunk in archive.canonical(tree):
                    sha256.update(chunk)
                    packed.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            os.utime(path, (self._clock(), self._clock()))  # it is young again, also when it was here before
            digest = f"sha256:{sha256.hexdigest()}"
            path.replace(self.path(digest))
            _sync(self._folder)
        return digest

    @contextlib.contextmanager
    def _unfinished(self) -> Iterator[tuple[IO[bytes], Path]]:
        """A fresh file (0600: sources may hold secrets) that is gone afterwards unless it was renamed."""
        handle, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreFailed(f"the store of sources in {folder} cannot be used: {error.strerror or error}") from error


def _sync(folder: Path) -> None:
    """Make a rename durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
