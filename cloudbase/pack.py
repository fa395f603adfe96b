"""A function's folder as a tar.gz that is the same for the same files: sorted, without owners and times."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloudbase.errors import Misused
from cloudbase.folder import expect_folder, holds_data
from cloudbase.ignore import ALWAYS, Pattern, ignored, parse

LIMIT = 100 << 20  # bytes before compression; the platform's own limits are checked there again
MOST = 20_000  # files


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive, and what went into it."""

    archive: bytes
    files: int
    size: int  # bytes before compression

    def __str__(self) -> str:
        return f"{self.files} file{'' if self.files == 1 else 's'}, {_size(self.size)},"


def pack(folder: Path) -> Packed:
    """The folder as a tar.gz. Raises Misused: no folder, nothing in it, too large, a link that leaves it, an unreadable file."""
    sizes = _sizes(folder)
    if not sizes:
        raise Misused(f"there is nothing to deploy in {folder}", "write a handler, or begin with `cloudbase init`")
    size = sum(sizes.values())
    if size > LIMIT:
        largest = _name(folder, max(sizes, key=lambda path: sizes[path]))
        raise Misused(
            f"{folder} holds {size >> 20} MiB, more than the {LIMIT >> 20} MiB that can be deployed",
            f"leave files out with a .cloudbaseignore; the largest is {largest}",
        )
    return Packed(_archive(folder, list(sizes)), len(sizes), size)


def _sizes(folder: Path) -> dict[Path, int]:
    """Bytes of each file to deploy. Raises Misused, and looks no further, when there are more than can be deployed."""
    sizes: dict[Path, int] = {}
    for path in walk(folder):
        sizes[path] = path.stat().st_size
        if len(sizes) > MOST:
            ((most, count),) = Counter(each.relative_to(folder).parts[0] for each in sizes).most_common(1)
            raise Misused(
                f"{folder} holds more than the {MOST:,} files that can be deployed",
                f"give the function's folder, or leave files out with a .cloudbaseignore; {count:,} are in {most}",
            )
    return sizes


def walk(folder: Path) -> Iterator[Path]:
    """The files to deploy, sorted: without what .cloudbaseignore (else .gitignore) names, usual leftovers, and data folders."""
    expect_folder(folder)
    yield from _walk(folder, folder, _patterns(folder))


def _patterns(folder: Path) -> tuple[Pattern, ...]:
    for name in (".cloudbaseignore", ".gitignore"):
        if (folder / name).is_file():
            return parse([*ALWAYS, *(folder / name).read_text(errors="replace").splitlines()])
    return parse(ALWAYS)


def _walk(top: Path, folder: Path, patterns: tuple[Pattern, ...]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise Misused(f"cannot read {error.filename}: {error.strerror}") from error
    for entry in entries:
        path = Path(entry.path)
        if ignored(patterns, _name(top, path), entry.is_dir()) or (entry.is_dir() and holds_data(path)):
            continue
        if entry.is_symlink():
            _check_link(top, path)
        if entry.is_dir():
            yield from _walk(top, path, patterns)
        elif entry.is_file():
            yield path


def _check_link(top: Path, path: Path) -> None:
    """A link to a file inside the folder is deployed as that file; any other has no meaning where the function runs."""
    target = path.resolve()
    if not target.is_relative_to(top.resolve()) or not target.is_file():
        what = "is broken" if not target.exists() else "leads to a folder" if target.is_dir() else "leads out of the folder"
        raise Misused(f"the link {path} {what}", "replace it by what it points to, or name it in .cloudbaseignore")


def _archive(folder: Path, files: list[Path]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in files:
            try:
                content = path.read_bytes()
            except OSError as error:
                raise Misused(f"cannot read {path}: {error.strerror}") from error
            member = tarfile.TarInfo(_name(folder, path))
            member.size = len(content)
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), compresslevel=6, mtime=0)


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _size(count: int) -> str:
    if count < 1 << 10:
        return f"{count} byte{'' if count == 1 else 's'}"
    return f"{count / (1 << 10):.1f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MiB"
