"""Reads the executor's log line by line: which step it is at, what is worth telling, and what failed.

The executor logs in JSON (`--log-format=json`) and lets what RUN steps write through as it is; its last line, without JSON, says
why it failed. Checked against Kaniko 1.28. Pure.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

import msgspec

LINES = 200  # of a step's output that are kept to find the cause in
WIDTH = 160  # characters of a step that are told

_INSTRUCTION = re.compile(
    r"(FROM|RUN|COPY|ADD|WORKDIR|ENV|USER|CMD|ENTRYPOINT|LABEL|EXPOSE|ARG|VOLUME|SHELL|STOPSIGNAL|HEALTHCHECK|ONBUILD)\s"
)
_LOUD = ("RUN", "COPY", "ADD", "FROM")  # the rest takes no time
_CACHED = "from the cache: "
_TOLD: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"Retrieving image manifest (\S+)"), "base image {0}"),
    (re.compile(r"Unpacking rootfs as cmd"), "unpacking the base image"),
    (re.compile(r"Using caching version of cmd: (.*)"), _CACHED + "{0}"),
    (re.compile(r"Pushing image to (?!\S+[.]cache:)(\S+)"), "pushing {0}"),
)
_OURS = (
    (re.compile(r"RUN .*\bnpm ci --omit=dev.*"), "npm install"),
    (re.compile(r"RUN .*\bpip install .*--target.*"), "pip install"),
)
_KINDS = (  # of a step as it is told -> controller.laps.KINDS; the first that matches counts
    ("npm install", "dependencies"), ("pip install", "dependencies"), (_CACHED, "cache"), ("RUN ", "run"), ("pushing ", "push"),
    ("base image ", "base"), ("unpacking ", "base"), ("the start", "base"),
)  # fmt: skip
_ENDING = re.compile(r"(?:Error: |error |kaniko should only)", re.ASCII)
_NOISE = re.compile(r"\s*(Usage:|Flags:|executor \[flags\]|-{1,2}[a-z])")


class _Line(msgspec.Struct):
    msg: str
    level: str = "info"


_decode = msgspec.json.Decoder(_Line).decode


class Reading:
    """One executor's log so far."""

    def __init__(self) -> None:
        self.step = "the start"  # what it is at, in words
        self.error = ""  # its last words when it failed
        self.output: deque[str] = deque(maxlen=LINES)  # what the step wrote
        self.tail: deque[str] = deque(maxlen=LINES)  # of everything told

    @property
    def kind(self) -> str:
        """What kind of step it is at, one of controller.laps.KINDS."""
        return next((kind for words, kind in _KINDS if self.step.startswith(words)), "copy")

    def feed(self, line: str) -> Iterator[str]:
        """What to tell of a line: nothing, or some words."""
        told = list(self._read(line.rstrip()))
        self.tail.extend(told)
        yield from told

    def _read(self, line: str) -> Iterator[str]:
        if not line:
            return
        entry = _entry(line)
        if entry is not None:
            yield from self._of_executor(entry)
        elif self.error and _NOISE.match(line):
            return  # the usage that follows a wrong flag
        else:
            if _ENDING.match(line):
                self.error = line
            self.output.append(line)
            yield line

    def _of_executor(self, entry: _Line) -> Iterator[str]:
        text = entry.msg.strip()
        if entry.level in ("warning", "error", "fatal"):
            self.output.append(text)
            yield f"{entry.level}: {text}"
        elif found := _INSTRUCTION.match(text):
            before, self.step = self.step, in_words(text)
            self.output.clear()
            if found[1] in _LOUD and before != f"{_CACHED}{self.step}":
                yield self.step
        else:
            yield from self._of_progress(text)

    def _of_progress(self, text: str) -> Iterator[str]:
        for pattern, words in _TOLD:
            if found := pattern.match(text):
                said = words.format(*(in_words(each) for each in found.groups()))
                if said != self.step:  # it asks for a base image several times
                    self.step = said
                    yield said


def in_words(instruction: str) -> str:
    """An instruction as users know it: "npm install" for what the platform's own Dockerfiles do."""
    for pattern, words in _OURS:
        if pattern.match(instruction):
            return words
    line = " ".join(instruction.split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _entry(line: str) -> _Line | None:
    if not line.startswith('{"'):
        return None
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return None  # a step that writes JSON of its own
