"""Commands in the documentation: each block of them is run by the test that its mark names, or says why by none.

A mark is a comment on a line of its own, and holds until the next mark, or the end of the section that it stands in:
<!-- run by tests/….py -->    as they are written, in order, but for names of examples; the test names the page
<!-- as in tests/….py -->     the same commands, with other names
<!-- not run: needs … -->     more than a test has: a cloud, a registry, hours
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("cloudbase", "curl", "docker", "helm", "kubectl", "locust", "make", "python", "python3", "skaffold", "source")
_MARK = re.compile(r"<!-- (?:(run by|as in) (\S+)|(not run: needs .+)) -->")
_HEADING = re.compile(r"#+(?= )")
_FENCE = re.compile(r"```(\w*)")


@dataclass(slots=True)
class Mark:
    """Who runs the blocks below it."""

    line: int
    kind: str  # "run by" | "as in" | "not run: needs …"
    test: str = ""
    used: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines that a reader types."""

    line: int
    text: str
    mark: Mark | None


def blocks(text: str) -> tuple[list[Block], list[Mark]]:
    """A page's blocks of commands, and its marks."""
    found: list[Block] = []
    marks: list[Mark] = []
    mark: Mark | None = None
    level = marked = 0  # of the heading that we are below, and of the one that the mark is below
    for line, piece in _pieces(text):
        if said := _MARK.fullmatch(piece):
            mark = Mark(line, said[1] or said[3], said[2] or "")
            marks.append(mark)
            marked = level
        elif heading := _HEADING.match(piece):
            level = len(heading[0])
            mark = mark if level > marked else None
        elif any(map(_typed, piece.splitlines())):
            found.append(Block(line, piece, mark))
            if mark:
                mark.used = True
    return found, marks


def played(page: str, test: str) -> list[str]:
    """The blocks of a page that a test runs as they are written. Raises AssertionError where there are none."""
    chosen = [one.text for one in blocks((ROOT / page).read_text())[0] if one.mark and one.mark.test == test]
    assert chosen, f"{page} has no commands for {test}"
    return chosen


def unmarked(page: Path, text: str) -> Iterator[str]:
    """What is wrong with a page's commands and marks."""
    found, marks = blocks(text)
    yield from (
        f"line {one.line}: commands whose runner no mark names (tests/shared/commands_in_docs.py)"
        for one in found
        if not one.mark
    )
    for mark in marks:
        test = ROOT / mark.test
        if not mark.used:
            yield f"line {mark.line}: a mark without commands below it"
        elif mark.test and not test.is_file():
            yield f"line {mark.line}: {mark.test}: no such file"
        elif mark.kind == "run by" and str(page.relative_to(ROOT)) not in test.read_text():
            yield f"line {mark.line}: {mark.test} does not name this page"


def _typed(line: str) -> bool:
    """A line that begins with a program."""
    first, _, rest = line.strip().removeprefix("$ ").partition(" ")
    return first.rpartition("/")[2] in PROGRAMS and bool(rest)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Headings, marks and blocks, each with its line: what is indented by four, or fenced as a shell's."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        began, line = at, lines[at]
        at += 1
        if fence := _FENCE.match(line):
            while at < len(lines) and not lines[at].startswith("```"):
                at += 1
            if fence[1] in ("sh", "bash", "shell", "console"):
                yield began + 1, "\n".join(lines[began + 1 : at])
            at += 1
        elif line.startswith("    "):
            while at < len(lines) and lines[at].startswith("    "):
                at += 1
            yield began + 1, "\n".join(each[4:] for each in lines[began:at])
        elif line.startswith(("#", "<!-- ")):
            yield began + 1, line
