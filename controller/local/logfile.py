"""Log files of replicas, `logs/<function>/<replica>.log`: appended, rotated by size, read from the end. All blocking.

A line is "<RFC 3339 time> <stream> <text>", as kubelets write it, so that `grep` and `tail` are of use too.
"""

from __future__ import annotations

import heapq
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from controller.ports import LogLine

FILE_BYTES = 1 << 20  # a file is rotated beyond this
FILES = 3  # of each replica: .log, .log.1, .log.2
REPLICAS = 20  # of which a function keeps the files, the most recent ones


class LogFolder:
    """The log files of one function."""

    def __init__(self, folder: Path, *, file_bytes: int = FILE_BYTES, files: int = FILES, replicas: int = REPLICAS) -> None:
        self._folder = folder
        self._file_bytes, self._files, self._replicas = file_bytes, files, replicas

    def append(self, replica: str, lines: Iterable[LogLine]) -> None:
        """Write lines of one replica; rotates when the file is full, and prunes when the replica is new."""
        path = self._folder / f"{replica}.log"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._prune(replica)
        text = "".join(f"{line.time} {line.stream} {line.line}\n" for line in lines)
        with path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            full = file.tell() >= self._file_bytes
        if full:
            self._rotate(path)

    def tail(self, count: int, replica: str = "") -> list[LogLine]:
        """The last `count` lines of all replicas, by time, or of one."""
        if count <= 0:
            return []
        lasts = [self._last(each, count) for each in self.replicas() if replica in ("", each)]
        return heapq.nlargest(count, (line for last in lasts for line in last), key=lambda line: line.time)[::-1]

    def replicas(self) -> set[str]:
        """Those of which there are files."""
        return {path.name.partition(".log")[0] for path in self._folder.glob("*.log*")}  # just rotated, one has no .log

    def remove(self) -> None:
        """Delete all files."""
        for path in self._folder.glob("*.log*"):
            path.unlink(missing_ok=True)
        if self._folder.exists():
            self._folder.rmdir()

    def _last(self, replica: str, count: int) -> deque[LogLine]:
        lines: deque[LogLine] = deque(maxlen=count)
        for path in reversed([self._folder / f"{replica}.log", *self._old(replica)]):
            lines.extend(_read(path, replica))
        return lines

    def _old(self, replica: str) -> list[Path]:
        """Rotated files, youngest first."""
        return [self._folder / f"{replica}.log.{number}" for number in range(1, self._files)]

    def _rotate(self, path: Path) -> None:
        paths = [path, *self._old(path.stem)]
        for older, younger in zip(reversed(paths), reversed(paths[:-1]), strict=False):
            if younger.exists():
                os.replace(younger, older)  # noqa: PTH105 (reads in the order of its arguments)
        if self._files == 1:
            path.unlink()

    def _prune(self, coming: str) -> None:
        """Make room for a replica."""
        youngest: dict[str, float] = {}
        for path in self._folder.glob("*.log*"):
            replica = path.name.partition(".log")[0]
            if replica != coming:
                youngest[replica] = max(youngest.get(replica, 0.0), path.stat().st_mtime)
        for replica in sorted(youngest, key=lambda name: youngest[name], reverse=True)[max(self._replicas - 1, 0) :]:
            for path in [self._folder / f"{replica}.log", *self._old(replica)]:
                path.unlink(missing_ok=True)


def _read(path: Path, replica: str) -> Iterator[LogLine]:
    try:
        file = path.open(encoding="utf-8", errors="replace", newline="\n")
    except FileNotFoundError:
        return
    with file:
        for text in file:
            time, _, rest = text.rstrip("\n").partition(" ")
            stream, _, line = rest.partition(" ")
            yield LogLine(time, replica, stream, line)
