"""A store of functions and one of sources that keep everything in memory, for tests and for what need not survive."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from msgspec.structs import replace

from controller import archive, tarball
from controller.documents import applied
from controller.model import Function, FunctionSpec, FunctionStatus, Revision

Key = tuple[str, str]  # project, name


class MemoryFunctionStore:
    """FunctionStore without a file."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._functions: dict[Key, Function] = {}
        self._revisions: dict[Key, dict[str, Revision]] = {}
        self._watchers: list[Callable[[str, str], None]] = []

    def get(self, project: str, name: str) -> Function | None:
        return self._functions.get((project, name))

    def list(self, project: str | None = None) -> list[Function]:
        found = (self._functions[key] for key in sorted(self._functions))
        return [function for function in found if project in (None, function.project)]

    async def apply(self, project: str, name: str, spec: FunctionSpec, generation: int = 0) -> Function:
        before = self.get(project, name)
        return self._keep(applied(before, project, name, spec, self._clock(), generation), before)

    async def set_status(self, project: str, name: str, status: FunctionStatus) -> None:
        if before := self.get(project, name):
            self._keep(replace(before, status=status), before)

    async def release(self, project: str, name: str) -> Function | None:
        before = self.get(project, name)
        return self._keep(replace(before, released=before.generation), before) if before else None

    async def mark_deleting(self, project: str, name: str) -> bool:
        if before := self.get(project, name):
            self._keep(replace(before, deleting=True), before)
        return before is not None

    async def remove(self, project: str, name: str) -> None:
        self._revisions.pop((project, name), None)
        if self._functions.pop((project, name), None):
            self._tell(project, name)

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self._watchers.append(changed)

    def revisions(self, project: str, name: str) -> Sequence[Revision]:
        return sorted(self._revisions.get((project, name), {}).values(), key=lambda revision: revision.generation)

    async def put_revision(self, project: str, name: str, revision: Revision) -> None:
        if (project, name) in self._functions:
            self._revisions.setdefault((project, name), {})[revision.name] = revision

    async def drop_revision(self, project: str, name: str, revision: str) -> None:
        self._revisions.get((project, name), {}).pop(revision, None)

    def _keep(self, function: Function, before: Function | None) -> Function:
        if function != before:
            self._functions[(function.project, function.name)] = function
            self._tell(function.project, function.name)
        return function

    def _tell(self, project: str, name: str) -> None:
        for changed in self._watchers:
            changed(project, name)


class MemorySourceStore:
    """SourceStore without a file; trees are never too young to be pruned."""

    def __init__(self, limits: archive.Limits | None = None) -> None:
        self._limits = limits or archive.Limits()
        self._trees: dict[str, dict[str, archive.File]] = {}

    async def put(self, files: dict[str, bytes]) -> str:
        return self._keep(archive.from_files(files, self._limits))

    async def put_archive(self, data: bytes) -> str:
        return self._keep(tarball.read(data, self._limits))

    async def has(self, digest: str) -> bool:
        return digest in self._trees

    async def prune(self, keep: Collection[str]) -> int:
        gone = [digest for digest in self._trees if digest not in keep]
        for digest in gone:
            del self._trees[digest]
        return len(gone)

    def _keep(self, tree: dict[str, archive.File]) -> str:
        digest = archive.digest(tree)
        self._trees[digest] = tree
        return digest
