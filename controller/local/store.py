"""Keeps Function documents in SQLite, one row each, as the JSON that the API shows; survives kill -9.

Called from one thread, the event loop's: a call takes 10 to 60 us, a change of a spec an fsync more. A full disk refuses what
is new, but not a function's end: that makes room, and there is a reserve for it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from controller.documents import applied
from controller.errors import StoreFailed
from controller.local.reserve import Reserve
from controller.model import Function, FunctionSpec, FunctionStatus, Revision

Document = TypeVar("Document", Function, Revision)

_VERSION = 1  # of the schema below; kept in SQLite's user_version
_SCHEMA = f"""
BEGIN;
CREATE TABLE functions (
    project TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (project, name)
) WITHOUT ROWID;
CREATE TABLE revisions (
    project TEXT NOT NULL, function TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (project, function, name),
    FOREIGN KEY (project, function) REFERENCES functions (project, name) ON DELETE CASCADE
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)  # the second where it is a quota that is used up
_PUT = "INSERT INTO functions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET document = excluded.document"
_PUT_REVISION = """
INSERT INTO revisions SELECT project, name, ?, ?, ? FROM functions WHERE project = ? AND name = ?
ON CONFLICT DO UPDATE SET generation = excluded.generation, document = excluded.document
"""


class LocalFunctionStore:
    """FunctionStore in a SQLite file, write-ahead logged."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Open or make the file (0600: environments hold secrets). Raises StoreFailed."""
        self._path, self._clock = path, clock
        self._watchers: list[Callable[[str, str], None]] = []
        self._reserve = Reserve(path.with_name(f"{path.name}-reserve"))
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None)
        try:
            with self._translated():
                self._prepare()
            self._reserve.fill()
        except StoreFailed:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def get(self, project: str, name: str) -> Function | None:
        rows = self._rows("SELECT document FROM functions WHERE project = ? AND name = ?", project, name)
        return self._decoded(rows[0], Function) if rows else None

    def list(self, project: str | None = None) -> list[Function]:
        rows = self._rows("SELECT document FROM functions WHERE ?1 IS NULL OR project = ?1 ORDER BY project, name", project)
        return [self._decoded(row, Function) for row in rows]

    async def apply(self, project: str, name: str, spec: FunctionSpec, generation: int = 0) -> Function:
        before = self.get(project, name)
        return self._keep(applied(before, project, name, spec, self._clock(), generation), before, durable=True)

    async def set_status(self, project: str, name: str, status: FunctionStatus) -> None:
        if before := self.get(project, name):
            self._keep(replace(before, status=status), before, durable=False)

    async def release(self, project: str, name: str) -> Function | None:
        before = self.get(project, name)
        return self._keep(replace(before, released=before.generation), before, durable=True) if before else None

    async def mark_deleting(self, project: str, name: str) -> bool:
        if before := self.get(project, name):
            self._keep(replace(before, deleting=True), before, durable=True, must=True)
        return before is not None

    async def remove(self, project: str, name: str) -> None:
        if self.get(project, name):
            self._write("DELETE FROM functions WHERE project = ? AND name = ?", project, name, must=True)
            self._reserve.fill()
            self._tell(project, name)

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self._watchers.append(changed)

    def revisions(self, project: str, name: str) -> Sequence[Revision]:
        rows = self._rows("SELECT document FROM revisions WHERE project = ? AND function = ? ORDER BY generation", project, name)
        return [self._decoded(row, Revision) for row in rows]

    async def put_revision(self, project: str, name: str, revision: Revision) -> None:
        document = msgspec.json.encode(revision).decode()
        self._write(_PUT_REVISION, revision.name, revision.generation, document, project, name)

    async def drop_revision(self, project: str, name: str, revision: str) -> None:
        self._write("DELETE FROM revisions WHERE project = ? AND function = ? AND name = ?", project, name, revision)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        [(version,)] = self._db.execute("PRAGMA user_version")
        if version == 0:
            self._db.executescript(_SCHEMA)
        elif version != _VERSION:
            raise StoreFailed(
                f"{self._path} was written by another version (schema {version}, this one has {_VERSION}): use that one"
            )

    def _keep(self, function: Function, before: Function | None, durable: bool, must: bool = False) -> Function:
        if function != before:
            document = msgspec.json.encode(function).decode()
            self._write(_PUT, function.project, function.name, document, durable=durable, must=must)
            self._tell(function.project, function.name)
        return function

    def _tell(self, project: str, name: str) -> None:
        for changed in self._watchers:
            changed(project, name)

    def _rows(self, query: str, *values: object) -> Sequence[str]:
        with self._translated():
            return [row[0] for row in self._db.execute(query, values)]

    def _write(self, statement: str, *values: object, durable: bool = True, must: bool = False) -> None:
        """One statement, one transaction; without `durable` a power cut (not a kill) may lose it, and saves the fsync.

        With `must` it has the reserve where the disk is full.
        """
        with self._translated():
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            while True:
                try:
                    self._db.execute(statement, values)
                except sqlite3.OperationalError as error:
                    if must and error.sqlite_errorcode & 0xFF in _NO_ROOM and self._reserve.give():
                        continue
                    raise
                break

    def _decoded(self, document: str, kind: type[Document]) -> Document:
        try:
            return msgspec.json.decode(document, type=kind)
        except msgspec.DecodeError as error:
            raise StoreFailed(f"{self._path} holds a {kind.__name__} that this version cannot read: {error}") from error

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreFailed(f"the store of functions {self._path} cannot be used: {error}") from error
