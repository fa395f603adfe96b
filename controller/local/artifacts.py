"""The folder of built functions, `builds/<digest>/`: content-addressed, and either whole or not there.

builds/<digest>/app/         the source with its dependencies: the function's folder of docs/runtime-contract.md
builds/<digest>/build.json   what built it
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

SCRATCH = "tmp"  # in an unfinished folder, for what is written while it is built
_UNFINISHED = ".unfinished-"
# Python before 3.11.4 has no filters. What is unpacked here is the canonical tar that controller.archive wrote of a checked tree.
_CHECKED: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


class SourceMissing(Exception):
    """The archive of a source is not in the data folder, or cannot be read."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """build.json: how an artifact came to be."""

    source: str
    runtime: str
    toolchain: str
    entry: str  # file in app/ that holds the handler, "" when a command starts it
    seconds: float  # that the build took
    log: tuple[str, ...] = ()
    dependencies: str = ""  # key of what is installed in it (dependencies.key), "" when it is for no other
    installed: float = 0.0  # unix seconds: when that was


class Artifacts:
    """Artifacts below `data`, with the sources they are made of."""

    def __init__(self, data: Path) -> None:
        self._builds = data / "builds"
        self._sources = data / "sources"

    def path(self, digest: str) -> Path:
        return self._builds / digest

    def app(self, digest: str) -> Path:
        """The function's folder."""
        return self.path(digest) / "app"

    def note(self, digest: str) -> Note | None:
        """What is known of an artifact; None when there is none."""
        try:
            return msgspec.json.decode((self.path(digest) / "build.json").read_bytes(), type=Note)
        except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
            return None

    def lender(self, dependencies: str, since: float) -> str:
        """The artifact with the dependencies of this key that were installed last, not before `since`; "" when there is none."""
        notes = {folder.name: self.note(folder.name) for folder in self._builds.glob("[!.]*")}
        found = [(note.installed, name) for name, note in notes.items() if note and note.dependencies == dependencies]
        return max((each for each in found if each[0] >= since), default=(0.0, ""))[1]

    def unpack(self, source: str) -> Path:
        """A fresh unfinished folder with the source ("sha256:<hex>") in `app/`. Raises SourceMissing."""
        archive = self._sources / f"{source.removeprefix('sha256:')}.tar.gz"
        self._builds.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._builds))
        try:
            (folder / SCRATCH).mkdir()
            with tarfile.open(archive, "r:gz") as tar:
                tar.extractall(folder / "app", **_CHECKED)
        except (OSError, EOFError, tarfile.TarError) as error:
            self.discard(folder)
            raise SourceMissing(
                f"the source {source[:19]}… cannot be unpacked from {archive} ({error}): deploy it again"
            ) from error
        return folder

    def publish(self, folder: Path, digest: str, note: Note) -> None:
        """Turn an unfinished folder into the artifact. Whoever comes second finds it there and lets go of theirs."""
        self.discard(folder / SCRATCH)
        (folder / "build.json").write_bytes(msgspec.json.encode(note))
        folder.chmod(0o755)  # mkdtemp made it 0700
        try:
            os.rename(folder, self.path(digest))  # noqa: PTH104 (Path.rename may replace)
        except OSError:
            if self.note(digest) is None:
                raise
            self.discard(folder)

    def discard(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what a killed platform left unfinished."""
        for folder in self._builds.glob(f"{_UNFINISHED}*"):
            self.discard(folder)

    def keep(self, digests: set[str]) -> list[str]:
        """Remove all artifacts but these; returns what was removed. Each is out of sight first: who copies from it notices."""
        gone = [folder.name for folder in self._builds.glob("[!.]*") if folder.name not in digests]
        for digest in gone:
            aside = self._builds / f"{_UNFINISHED}{digest}"
            self.discard(aside)
            with suppress(OSError):
                self.path(digest).rename(aside)
            self.discard(aside)
        return gone


def digest(*parts: str) -> str:
    """The address of an artifact: 32 hex digits over everything that its content depends on."""
    joined = "\0".join(parts).encode()
    return hashlib.sha256(joined).hexdigest()[:32]
