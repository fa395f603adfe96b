"""Source trees and their archives: what may be in one, read strictly, written canonically.

A tree is checked as a whole, so that what is kept unpacks on Linux and macOS, inside its folder and nowhere else.
Nothing is unpacked in here; no file is touched.
"""

from __future__ import annotations

import hashlib
import tarfile
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controller.errors import BadSource, SourceTooLarge


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source may be at most."""

    archive_bytes: int = 64 << 20  # of the compressed archive
    total_bytes: int = 256 << 20  # of the archive unpacked, headers included
    files: int = 20_000  # members of the archive
    ratio: int = 200  # times its compressed size, once it is larger than 16 MiB; gzip's own limit is 1032
    path_bytes: int = 1000  # macOS: PATH_MAX is 1024
    name_bytes: int = 255  # of one component: NAME_MAX
    depth: int = 64  # folders


@dataclass(frozen=True, slots=True)
class File:
    """A file, or a symbolic link when `link` is set."""

    content: bytes = b""
    executable: bool = False
    link: str = ""


Tree = dict[str, File]


def from_files(files: dict[str, bytes], limits: Limits) -> Tree:
    """A checked tree of plain files. Raises BadSource."""
    if sum(map(len, files.values())) > limits.total_bytes:
        raise SourceTooLarge(f"the files are larger than {size(limits.total_bytes)} together: leave out what can be installed")
    tree = Growing(limits)
    for path, content in files.items():
        tree.add(path, File(content))
    return tree.done()


class Growing:
    """A tree in the making that refuses, member by member, what must not be in it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tree: Tree = {}
        self._names: dict[str, str] = {}  # folded path, of files and folders -> as written
        self._members = 0

    def add(self, name: str, file: File | None) -> None:
        """Add a file, a link, or a folder (None), which only claims its name. Raises BadSource."""
        self._members += 1
        if self._members > self._limits.files:
            raise SourceTooLarge(f"the source has more than {self._limits.files} files: leave out what can be installed")
        path = self._path(name)
        if not path and file is not None:
            raise BadSource(f'"{name}" is not the name of a file')
        if file is not None:
            _check_link(path, file.link)
            if path in self._tree:
                raise BadSource(f'"{path}" is in the source twice')
            self._tree[path] = file
        self._claim(path)

    def done(self) -> Tree:
        """The tree, whole. Raises BadSource when it is empty, or a file or link is used as a folder."""
        if not self._tree:
            raise BadSource("the source has no files in it")
        for path in self._tree:
            for folder in _parents(path):
                if folder in self._tree:
                    what = "a link" if self._tree[folder].link else "a file"
                    raise BadSource(f'"{path}" is below "{folder}", which is {what}')
        return self._tree

    def _path(self, name: str) -> str:
        if name.startswith("/"):
            raise BadSource(f'"{_shown(name)}" is an absolute path: paths are relative to the source')
        if any(ord(letter) < 32 or ord(letter) == 127 or letter == "\\" for letter in name):
            raise BadSource(f'"{_shown(name)}" has a backslash or a control character in its name')
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise BadSource(f'"{_shown(name)}" leads out of the source: ".." is not allowed in a path')
        self._check_length(name, parts)
        return "/".join(parts)

    def _check_length(self, name: str, parts: list[str]) -> None:
        limits = self._limits
        try:
            lengths = [len(part.encode()) for part in parts]
        except UnicodeEncodeError:
            raise BadSource(f'"{_shown(name)}" is not valid Unicode') from None
        if (
            len(parts) > limits.depth
            or sum(lengths) + len(parts) > limits.path_bytes
            or max(lengths, default=0) > limits.name_bytes
        ):
            raise BadSource(f'"{_shown(name)}" is too long or too deep a path')

    def _claim(self, path: str) -> None:
        """Refuse names that a file system which ignores case or normalises Unicode (macOS) takes for one."""
        for each in (*_parents(path), path):
            other = self._names.setdefault(unicodedata.normalize("NFC", each).casefold(), each)
            if other != each:
                raise BadSource(f'"{each}" and "{other}" differ only by case or accents: not every file system can hold both')


def canonical(tree: Tree) -> Iterator[bytes]:
    """The canonical tar of a tree, in pieces: sorted, times and owners zero, modes 644 or 755, no folders."""
    for path in sorted(tree):
        file = tree[path]
        member = tarfile.TarInfo(path)
        member.mode = 0o755 if file.executable or file.link else 0o644
        member.size = len(file.content)
        if file.link:
            member.type, member.linkname = tarfile.SYMTYPE, file.link
        yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
        yield file.content
        yield bytes(-len(file.content) % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def digest(tree: Tree) -> str:
    """The "sha256:<hex>" of the canonical tar."""
    sha256 = hashlib.sha256()
    for chunk in canonical(tree):
        sha256.update(chunk)
    return f"sha256:{sha256.hexdigest()}"


def size(count: int) -> str:
    """Bytes in words: "64 MiB"."""
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} bytes"


def _check_link(path: str, target: str) -> None:
    """Refuse a link that leads, or together with other links could lead, out of the tree.

    ".." is allowed only at its beginning: there it is relative to folders that are no links (`done` sees to it), while
    behind another link it would count from where that one leads.
    """
    if not target:
        return
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    inside = not target.startswith("/") and up <= path.count("/") and ".." not in parts[up:]
    if not inside or "\0" in target or "\\" in target or len(target) > 1000:
        raise BadSource(f'the link "{path}" leads out of the source, to "{_shown(target)}"')


def _parents(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _shown(name: str) -> str:
    text = name.encode("unicode_escape", "replace").decode()
    return text if len(text) <= 80 else f"{text[:80]}…"
