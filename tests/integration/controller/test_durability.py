"""What is on disk after a kill -9, and what is not: the local stores of functions and sources."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.errors import BadSource, StoreFailed
from controller.local.reserve import PIECE, SIZE
from controller.local.sources import LocalSourceStore
from controller.local.store import LocalFunctionStore
from controller.model import FunctionStatus
from tests.shared.controller_world import spec

WRITER = """
import asyncio
import sys
from pathlib import Path
from controller.local.store import LocalFunctionStore
from controller.model import FunctionSpec, FunctionStatus
store = LocalFunctionStore(Path(sys.argv[1]))
async def write():
    for number in range(1_000_000):
        await store.apply("default", f"f{number}", FunctionSpec(runtime="node", source="sha256:x"))
        await store.set_status("default", f"f{number}", FunctionStatus(replicas=number))
        print(number, flush=True)
asyncio.run(write())
"""


def test_a_writer_killed_at_any_moment_loses_nothing_that_it_reported(tmp_path: Path) -> None:
    path = tmp_path / "cloudbase.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        for _ in range(25):
            last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
    store = LocalFunctionStore(path)
    found = {each.name: each.status.replicas for each in store.list()}
    store.close()
    assert last >= 24
    assert {f"f{number}": number for number in range(last + 1)}.items() <= found.items()


def test_a_store_opened_again_has_all_functions_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "cloudbase.db"
    store = LocalFunctionStore(path)
    asyncio.run(store.apply("default", "f", spec(env={"SECRET": "x"})))
    asyncio.run(store.set_status("default", "f", FunctionStatus(revision="f-00001")))
    assert [stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()] == [
        0o600
    ] * 4  # the file, its log, index and reserve
    before = store.list()
    store.close()
    again = LocalFunctionStore(path)
    assert again.list() == before
    again.close()


class FullDisk:
    """A database whose disk takes no write as long as the reserve beside it is larger than `most` bytes."""

    def __init__(self, db: sqlite3.Connection, reserve: Path, most: int) -> None:
        self._db, self._reserve, self.most = db, reserve, most
        self.close = db.close

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        if statement.startswith(("INSERT", "DELETE")) and self._reserve.stat().st_size > self.most:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return self._db.execute(statement, values)


def test_a_full_disk_refuses_what_is_new_but_not_a_functions_end(tmp_path: Path) -> None:
    store, reserve = LocalFunctionStore(tmp_path / "f.db"), tmp_path / "f.db-reserve"
    asyncio.run(store.apply("default", "f", spec()))
    assert reserve.stat().st_size == SIZE
    full = FullDisk(store._db, reserve, most=SIZE - 2 * PIECE)
    store._db = full  # type: ignore[assignment]
    for new in (store.apply("default", "g", spec()), store.set_status("default", "f", FunctionStatus(replicas=1))):
        with pytest.raises(StoreFailed, match="disk is full"):
            asyncio.run(new)
    assert reserve.stat().st_size == SIZE
    assert asyncio.run(store.mark_deleting("default", "f"))
    assert reserve.stat().st_size == full.most, "no more is let go than is needed"
    asyncio.run(store.remove("default", "f"))
    assert (store.list(), reserve.stat().st_size) == ([], SIZE), "and it is taken again where there is room"

    full.most = SIZE
    asyncio.run(store.apply("default", "f", spec()))
    full.most = -1
    with pytest.raises(StoreFailed, match="disk is full"):
        asyncio.run(store.mark_deleting("default", "f"))
    assert reserve.stat().st_size == 0
    store.close()


def test_a_file_that_is_no_database_or_of_a_later_version_stops_the_start_in_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreFailed, match=r"broken\.db cannot be used: file is not a database"):
        LocalFunctionStore(broken)
    later = tmp_path / "later.db"
    with sqlite3.connect(later) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreFailed, match="schema 99"):
        LocalFunctionStore(later)
    with pytest.raises(StoreFailed, match="cannot be used"):
        LocalFunctionStore(broken / "below-a-file.db")


def test_a_document_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    store = LocalFunctionStore(tmp_path / "cloudbase.db")
    asyncio.run(store.apply("default", "f", spec()))
    with sqlite3.connect(tmp_path / "cloudbase.db") as db:
        db.execute("UPDATE functions SET document = replace(document, 'generation', 'generatoin')")
        db.execute("UPDATE functions SET document = replace(document, '\"spec\"', '\"spce\"')")
    db.close()
    with pytest.raises(StoreFailed, match="holds a Function that this version cannot read"):
        store.get("default", "f")
    store.close()


def test_a_refused_or_repeated_source_leaves_no_file_behind(tmp_path: Path) -> None:
    store = LocalSourceStore(tmp_path / "sources")
    digest = asyncio.run(store.put({"a": b"1"}))
    assert asyncio.run(store.put({"a": b"1"})) == digest
    with pytest.raises(BadSource):
        asyncio.run(store.put_archive(b"no archive"))
    with pytest.raises(BadSource):
        asyncio.run(store.put({"a": b"", "../b": b""}))
    assert [each.name for each in (tmp_path / "sources").iterdir()] == [f"{digest[7:]}.tar.gz"]


def test_what_a_killed_upload_left_is_cleared_at_the_start(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-x").write_bytes(b"half")
    store = LocalSourceStore(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not asyncio.run(store.has("sha256:none"))


def test_a_young_source_is_not_pruned_for_its_function_may_be_about_to_come(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    store = LocalSourceStore(tmp_path, young=600.0, clock=lambda: now[0])
    digest = asyncio.run(store.put({"a": b"1"}))
    now[0] += 599
    assert asyncio.run(store.prune(())) == 0
    asyncio.run(store.put({"a": b"1"}))  # sent again: young again
    now[0] += 599
    assert (asyncio.run(store.prune(())), asyncio.run(store.has(digest))) == (0, True)
    now[0] += 2
    assert (asyncio.run(store.prune(())), asyncio.run(store.has(digest))) == (1, False)


def test_a_folder_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed, match=r"the store of sources in .*file"):
        LocalSourceStore(tmp_path / "file")
