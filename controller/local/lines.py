"""Cuts what a process writes into lines, with bounds on what it may make us hold."""

from __future__ import annotations

LONGEST = 16 << 10  # bytes; a longer line is cut


class LineSplitter:
    """Bytes of several streams in, whole lines out, without their ends; not UTF-8 becomes U+FFFD."""

    def __init__(self) -> None:
        self._rest: dict[str, bytes] = {}

    def feed(self, stream: str, content: bytes) -> list[str]:
        *lines, rest = (self._rest.get(stream, b"") + content).split(b"\n")
        while len(rest) > LONGEST:
            lines.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        self._rest[stream] = rest
        return [piece.decode(errors="replace") for line in lines for piece in _cut(line.removesuffix(b"\r"))]

    def end(self, stream: str) -> list[str]:
        """The line that has begun and will not be ended."""
        return self.feed(stream, b"\n") if self._rest.get(stream) else []


def _cut(line: bytes) -> list[bytes]:
    return [line[start : start + LONGEST] for start in range(0, len(line), LONGEST)] or [line]
