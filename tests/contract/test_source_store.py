"""What every SourceStore promises, in memory, in a folder, in a cluster: which trees it takes, and which archives it refuses."""

from __future__ import annotations

import asyncio
import gzip
import io
import tarfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from controller.archive import Limits
from controller.errors import BadSource, SourceTooLarge
from controller.kube.build.registry import Registry
from controller.kube.build.settings import BuildSettings
from controller.kube.build.sources import KubeSourceStore
from controller.local.sources import LocalSourceStore
from controller.memory import MemorySourceStore
from controller.ports import SourceStore
from kube.client import Client
from kube.fake.server import ApiServer
from tests.shared.oci_registry import MemoryRegistry
from tests.shared.serving import serving

LIMITS = Limits(archive_bytes=64 << 10, total_bytes=20 << 20, files=100, ratio=50)


class Waiting:
    """A SourceStore for tests that wait for every call."""

    def __init__(self, store: SourceStore, runner: asyncio.Runner) -> None:
        self._store, self._run = store, runner.run

    def put(self, files: dict[str, bytes]) -> str:
        return self._run(self._store.put(files))

    def put_archive(self, data: bytes) -> str:
        return self._run(self._store.put_archive(data))

    def has(self, digest: str) -> bool:
        return self._run(self._store.has(digest))

    def prune(self, keep: Collection[str]) -> int:
        return self._run(self._store.prune(keep))


@asynccontextmanager
async def cluster_store(in_secret: int, host: str) -> AsyncIterator[SourceStore]:
    """Over an API server and an image registry, both fake; up to so many bytes a source is in a Secret."""

    async def none() -> dict[str, str]:
        return {}

    async with ApiServer() as server, Client(server.access()) as client:
        registry, settings = Registry(host, none, insecure=True), BuildSettings(registry=f"{host}/functions")
        yield KubeSourceStore(client, settings, registry, limits=LIMITS, young=0.0, in_secret=in_secret, clock=lambda: 4e9)
        await registry.close()


@dataclass
class Harbour:
    """A loop, and a port in it behind which every test finds a registry of its own: to open and close one costs 0.2 s."""

    runner: asyncio.Runner
    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    host: str = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.registry(scope, receive, send)


@pytest.fixture(scope="module")
def harbour() -> Iterator[Harbour]:
    with asyncio.Runner() as runner:
        found = Harbour(runner)
        opened = serving(found)
        found.host = runner.run(opened.__aenter__())
        yield found
        runner.run(opened.__aexit__(None, None, None))


@pytest.fixture(params=["memory", "folder", "secrets", "registry"])
def store(request: pytest.FixtureRequest, tmp_path: Path, harbour: Harbour) -> Iterator[Waiting]:
    runner = harbour.runner
    if request.param == "memory":
        yield Waiting(MemorySourceStore(LIMITS), runner)
    elif request.param == "folder":
        yield Waiting(LocalSourceStore(tmp_path / "sources", LIMITS, young=0.0, clock=lambda: 4e9), runner)
    else:
        harbour.registry = MemoryRegistry()
        opened = cluster_store(1 << 20 if request.param == "secrets" else 0, harbour.host)
        yield Waiting(runner.run(opened.__aenter__()), runner)
        runner.run(opened.__aexit__(None, None, None))


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in fields.items():
        setattr(info, attribute, value)
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


def tar(*members: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=kind) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def targz(*members: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    return gzip.compress(tar(*members, kind=kind))


def test_a_tree_has_one_digest_however_it_came(store: Waiting) -> None:
    digest = store.put({"b/c.js": b"2", "a.js": b"1"})
    assert digest.startswith("sha256:")
    assert store.has(digest)
    folder = member("./b", type=tarfile.DIRTYPE)
    same = targz(folder, member("./b/c.js", b"2", mtime=99, uid=7, uname="x", mode=0o600), member("./a.js", b"1"))
    assert store.put_archive(same) == digest
    assert store.put_archive(targz(member("b/c.js", b"2"), member("a.js", b"1"), kind=tarfile.GNU_FORMAT)) == digest
    assert store.put({"a.js": b"1", "b/c.js": b"3"}) != digest
    assert store.put_archive(targz(member("b/c.js", b"2", mode=0o755), member("a.js", b"1"))) != digest


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_foreign_names_are_kept(store: Waiting, kind: int) -> None:
    name = f"{'d' * 120}/{'ü' * 60}.js"
    assert store.put_archive(targz(member(name, b"x"), kind=kind)) == store.put({name: b"x"})


def test_archives_of_git_and_of_several_gzip_members_are_taken(store: Waiting) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", pax_headers={"comment": "0123"}) as archive:
        archive.addfile(member("a", b"1")[0], io.BytesIO(b"1"))
    raw = packed.getvalue()
    digest = store.put({"a": b"1"})
    assert store.put_archive(gzip.compress(raw)) == digest
    assert store.put_archive(gzip.compress(raw[:700]) + gzip.compress(raw[700:]) + bytes(100)) == digest


def test_links_inside_the_tree_are_kept(store: Waiting) -> None:
    tree = (member("lib/a.js", b"1"), link("b.js", "lib/a.js"), link("lib/up", "../b.js"), link("lib/here", "."))
    assert store.has(store.put_archive(targz(*tree)))


def sparse() -> bytes:
    """A GNU sparse file that says it is a gigabyte."""
    raw = bytearray(tar(member("a", b"x"), kind=tarfile.GNU_FORMAT))
    raw[156:157] = tarfile.GNUTYPE_SPARSE
    raw[148:156] = b"%06o\0 " % (256 + sum(raw[:148]) + sum(raw[156:512]))
    return gzip.compress(bytes(raw))


def with_size(raw: bytes, size: bytes) -> bytes:
    """The first member's size field replaced, with the right checksum."""
    block = bytearray(raw[:512])
    block[124:136] = size
    block[148:156] = b"%06o\0 " % (256 + sum(block[:148]) + sum(block[156:]))
    return bytes(block) + raw[512:]


GOOD = tar(member("a.js", b"1" * 600), member("b.js", b"2"))
BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "ends before its end mark"),
    "no gzip": (b"PK\3\4 a zip", "not a sound gzip"),
    "a bare tar": (GOOD, "not a sound gzip"),
    "gzip cut off": (gzip.compress(GOOD)[:-20], "cut off|ends too early"),
    "gzip with a wrong checksum": (gzip.compress(GOOD)[:-8] + bytes(8), "not a sound gzip"),
    "no tar": (gzip.compress(b"x" * 5000), "the tar is damaged"),
    "tar cut off in a header": (gzip.compress(GOOD[:300]), "cut off"),
    "tar cut off in a file": (gzip.compress(GOOD[:900]), "cut off"),
    "tar without its end": (gzip.compress(GOOD[:1536]), "cut off"),
    "a damaged header in the middle": (gzip.compress(GOOD[:1540] + b"?" + GOOD[1541:]), "the tar is damaged"),
    "something behind the end": (gzip.compress(GOOD + GOOD), "behind its end mark"),
    "no files": (targz(), "no files"),
    "only folders": (targz(member("a", type=tarfile.DIRTYPE)), "no files"),
    "up": (targz(member("../a")), "leads out"),
    "up in the middle": (targz(member("a/../../b")), "leads out"),
    "up, but not out": (targz(member("a/../b")), "leads out"),
    "an absolute path": (targz(member("/etc/passwd")), "absolute"),
    "a folder that leads out": (targz(member("../a", type=tarfile.DIRTYPE), member("b")), "leads out"),
    "a long name that leads out": (targz(member(f"{'x/' * 80}{'../' * 90}a")), "leads out"),
    "a backslash": (targz(member("a\\..\\b")), "backslash"),
    "a line break": (targz(member("a\nb")), "control character"),
    "no name": (targz(member(".")), "not the name of a file"),
    "a name too long": (targz(member("x" * 256)), "too long"),
    "a path too deep": (targz(member("x/" * 65 + "a")), "too deep"),
    "twice": (targz(member("a", b"1"), member("./a", b"2")), "twice"),
    "names that differ by case": (targz(member("Lib/a"), member("lib/b")), "differ only by case"),
    "names that differ by accents": (targz(member("\u00fc"), member("u\u0308")), "differ only by case"),
    "a file as a folder": (targz(member("a"), member("a/b")), "below"),
    "a link as a folder": (targz(member("d/x"), link("a", "d"), member("a/b")), "below"),
    "a link out": (targz(member("x"), link("a", "../b")), "leads out"),
    "an absolute link": (targz(member("x"), link("a", "/etc/passwd")), "leads out"),
    "a link out through another": (targz(member("a/b/x"), link("a/b/s", "../.."), link("t", "a/b/s/../../x")), "leads out"),
    "a link out from below": (targz(member("a/x"), link("a/b", "../../c")), "leads out"),
    "a link to nowhere": (targz(member("x"), link("a", "")), "leads nowhere"),
    "a hard link": (targz(member("a"), link("b", "a", tarfile.LNKTYPE)), "a hard link"),
    "a device": (targz(member("a", type=tarfile.CHRTYPE)), "a device"),
    "a pipe": (targz(member("a", type=tarfile.FIFOTYPE)), "a pipe"),
    "an unknown kind": (targz(member("a", type=b"Z")), "not known here"),
    "a sparse file": (sparse(), "a sparse file"),
    "a sparse file of pax": (targz(member("a", pax_headers={"GNU.sparse.size": "1"})), "sparse"),
    "a size that is no number": (targz(member("a", pax_headers={"size": "1e9"})), "no number"),
    "a negative size": (gzip.compress(with_size(tar(member("a")), b"\xff" * 12)), "negative size"),
}
LARGE: dict[str, Callable[[], bytes]] = {
    "the archive": lambda: bytes(LIMITS.archive_bytes + 1),
    "unpacked": lambda: gzip.compress(tar(member("a", bytes(21 << 20)))),
    "unpacked, by ratio": lambda: gzip.compress(tar(member("a", bytes(17 << 20)))),
    "behind the end": lambda: gzip.compress(tar(member("a")) + bytes(21 << 20)),
    "too many files": lambda: targz(*(member(f"{number}") for number in range(101))),
    "a header": lambda: targz(member("a", pax_headers={"comment": "x" * (2 << 20)})),
    "a size that never comes": lambda: gzip.compress(with_size(tar(member("a")), b"77777777777\0")),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_sound_is_refused_and_nothing_is_kept(store: Waiting, case: str) -> None:
    archive, words = BAD[case]
    with pytest.raises(BadSource, match=words):
        store.put_archive(archive)
    assert store.prune(()) == 0


@pytest.mark.parametrize("case", LARGE)
def test_what_is_too_large_is_refused_and_nothing_is_kept(store: Waiting, case: str) -> None:
    with pytest.raises(SourceTooLarge):
        store.put_archive(LARGE[case]())
    assert store.prune(()) == 0


@pytest.mark.parametrize("path", ["../a", "/a", "", ".", "a/../../b", "a\0b", "\ud800"])
def test_files_have_to_be_named_inside_the_tree(store: Waiting, path: str) -> None:
    with pytest.raises(BadSource):
        store.put({"ok": b"", path: b""})
    assert store.prune(()) == 0


def test_only_what_is_not_referenced_is_pruned(store: Waiting) -> None:
    kept, gone = store.put({"a": b"1"}), store.put({"a": b"2"})
    assert store.prune({kept}) == 1
    assert (store.has(kept), store.has(gone)) == (True, False)
