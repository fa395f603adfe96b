"""Chunked bodies (RFC 9112 7.1): a reader that walks any split of the bytes, and the writer of what goes on.

Chunks are never passed on as they came: payload is taken out here and framed anew there, so extensions, odd sizes and whatever
a second parser might read otherwise end at this router.
"""

from __future__ import annotations

import re
from typing import Final

from router.errors import HeadTooLarge, Malformed
from router.http1 import grammar
from router.http1.grammar import CRLF

LAST_CHUNK: Final = b"0\r\n"
_LINE_LIMIT: Final = 4096  # bytes of one size line with its extensions
_TRAILER_LIMIT: Final = 16384  # bytes of the trailer section
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_EXTENSION: Final = rb"[ \t]*;[ \t]*%b+(?:[ \t]*=[ \t]*(?:%b+|%b))?" % (grammar.TOKEN, grammar.TOKEN, _QUOTED)
_match_size: Final = re.compile(rb"([0-9a-fA-F]{1,15})(?:%b)*\r\n" % _EXTENSION).fullmatch

_SIZE, _DATA, _TRAILER, _DONE = range(4)


class ChunkedReader:
    """Takes the payload out of a chunked body. After `done`, `trailers` are the lines that may go on, each with its CRLF."""

    __slots__ = ("done", "left", "line", "state", "trailers")

    def __init__(self) -> None:
        self.state = _SIZE
        self.left = 0  # bytes of the present chunk and of the CRLF behind it
        self.line = b""  # what came of an unfinished line, or of the trailer section
        self.done = False
        self.trailers = b""

    def read(self, data: bytes | bytearray, start: int, end: int, payload: list[memoryview]) -> int:
        """Walk `data[start:end]`, append the payload as views; returns where it stopped: `end`, or past the body once `done`.

        Raises Malformed, HeadTooLarge (trailers).
        """
        view = memoryview(data)
        while start < end and self.state != _DONE:
            start = self._data(view, start, end, payload) if self.state == _DATA else self._line(data, start, end)
        return start

    def _data(self, view: memoryview, start: int, end: int, payload: list[memoryview]) -> int:
        left = self.left
        if left > 2:
            stop = min(end, start + left - 2)
            payload.append(view[start:stop])
            self.left = left - (stop - start)
            return stop
        if view[start] != CRLF[2 - left]:
            raise Malformed("A chunk does not end where its size says")
        self.left = left - 1
        if not self.left:
            self.state = _SIZE
        return start + 1

    def _line(self, data: bytes | bytearray, start: int, end: int) -> int:
        stop = data.find(b"\n", start, end) + 1
        self.line += bytes(data[start : stop or end])
        if len(self.line) > (_LINE_LIMIT if self.state == _SIZE else _TRAILER_LIMIT):
            raise HeadTooLarge("A chunk's size line or the trailer section is too long")
        if not stop:
            return end
        if self.state == _SIZE:
            self._size(self.line)
            self.line = b""
        elif self.line.endswith(b"\r\n\r\n") or self.line == CRLF:
            self._trailers(self.line[:-2])
        elif not self.line.endswith(CRLF):
            raise Malformed("A trailer line ends in a bare LF")
        return stop

    def _size(self, line: bytes) -> None:
        match = _match_size(line)
        if match is None:
            raise Malformed("A chunk's size line is malformed")
        size = int(match[1], 16)
        self.left = size + 2
        self.state = _DATA if size else _TRAILER

    def _trailers(self, block: bytes) -> None:
        if grammar.match_block(block) is None:
            raise Malformed("The trailer section is malformed")
        self.line = b""
        self.trailers = b"".join(
            name + b": " + value.rstrip(b" \t") + CRLF for name, value in grammar.find_lines(block) if grammar.may_trail(name)
        )
        self.state = _DONE
        self.done = True


def chunk(payload: list[memoryview]) -> list[bytes | bytearray | memoryview]:
    """One chunk of all of the payload, as buffers for one send; nothing for no payload, for an empty chunk would end the body."""
    size = sum(len(piece) for piece in payload)
    return [b"%x\r\n" % size, *payload, CRLF] if size else []


def last_chunk(trailers: bytes) -> bytes:
    """The end of a chunked body."""
    return LAST_CHUNK + trailers + CRLF
