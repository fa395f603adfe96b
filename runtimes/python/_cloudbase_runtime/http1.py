"""HTTP/1.1 requests from bytes (RFC 9110, 9112), as strict as a server can be. No socket and no clock in here."""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024  # bytes; the router has the stricter limit
_LINE_LIMIT = 4096  # bytes of a chunk's size line or of a trailer line
_TRAILER_LIMIT = 16 * 1024  # bytes
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~\x80-\xff]+) HTTP/1\.([01])")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")


class BadRequest(Exception):
    """Bytes that are no request: answered with `status`, and the connection is closed."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass
class Head:
    """A request's head. Field names are lower case, as ASGI has them."""

    method: str
    target: bytes
    fields: list[tuple[bytes, bytes]]
    http10: bool
    keep_alive: bool = True
    length: int = 0  # bytes of the body; -1 = chunked
    expects_continue: bool = False
    upgrade: bytes = b""  # lower case

    @property
    def version(self) -> str:
        return "1.0" if self.http10 else "1.1"

    def get(self, name: bytes) -> bytes | None:
        """The first field of this (lower-case) name."""
        for field, value in self.fields:
            if field == name:
                return value
        return None


class Parser:
    """Takes bytes as they come; gives heads, then pieces of the body of each, in turn."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._scanned = 0  # bytes known not to hold the end of the head
        self._left = 0  # bytes of the body (or chunk) still to come
        self._chunked = False
        self._in_chunk = False
        self._in_trailers = False
        self._trailer_size = 0

    @property
    def held(self) -> int:
        """Bytes that were fed and not given out."""
        return len(self._bytes)

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def rest(self) -> bytes:
        """Everything that was not given out; the connection belongs to another protocol from here on."""
        rest = bytes(self._bytes)
        self._bytes.clear()
        return rest

    def head(self) -> Head | None:
        """The next head, or None until it is whole. Raises BadRequest."""
        if self._scanned == 0 and self._bytes[:2] == b"\r\n":
            del self._bytes[:2]  # RFC 9112 2.2: an empty line before a request is ignored
        end = self._bytes.find(b"\r\n\r\n", self._scanned)
        if end > HEAD_LIMIT or (end < 0 and len(self._bytes) > HEAD_LIMIT):
            raise BadRequest(431, f"the head has more than {HEAD_LIMIT} bytes")
        if end < 0:
            self._scanned = max(len(self._bytes) - 3, 0)
            return None
        lines = bytes(self._bytes[:end]).split(b"\r\n")
        del self._bytes[: end + 4]
        self._scanned = 0
        head = _head(lines)
        self._chunked = head.length < 0
        self._left = max(head.length, 0)
        self._in_chunk = self._in_trailers = False
        self._trailer_size = 0
        return head

    def body(self) -> tuple[bytes, bool]:
        """What is there of the body, and whether that was its end. Raises BadRequest."""
        if not self._chunked:
            piece = self._take()
            return piece, self._left == 0
        pieces: list[bytes] = []
        while True:
            if self._in_chunk and not self._chunk(pieces):
                return b"".join(pieces), False
            if not self._in_trailers and not self._size():
                return b"".join(pieces), False
            if self._in_trailers:
                return b"".join(pieces), self._trailers()

    def _take(self) -> bytes:
        piece = bytes(self._bytes[: self._left])
        del self._bytes[: len(piece)]
        self._left -= len(piece)
        return piece

    def _chunk(self, pieces: list[bytes]) -> bool:
        """Takes chunk data; True when the chunk and its line end are through."""
        if self._left:
            pieces.append(self._take())
        if self._left or len(self._bytes) < 2:
            return False
        if self._bytes[:2] != b"\r\n":
            raise BadRequest(400, "a chunk does not end where its size says")
        del self._bytes[:2]
        self._in_chunk = False
        return True

    def _size(self) -> bool:
        """Takes a chunk's size line; False until it is whole."""
        line = self._line()
        if line is None:
            return False
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise BadRequest(400, "a chunk's size is no hexadecimal number")
        self._left = int(match[1], 16)
        self._in_chunk = self._left > 0
        self._in_trailers = self._left == 0
        return True

    def _trailers(self) -> bool:
        """Drops trailer fields; True at the end of the message."""
        while True:
            line = self._line()
            if line is None:
                return False
            if not line:
                self._in_trailers = self._chunked = False
                return True
            self._trailer_size += len(line)
            if self._trailer_size > _TRAILER_LIMIT or _FIELD.fullmatch(line) is None:
                raise BadRequest(400, "a trailer field is malformed, or there are too many")

    def _line(self) -> bytes | None:
        end = self._bytes.find(b"\r\n")
        if end > _LINE_LIMIT or (end < 0 and len(self._bytes) > _LINE_LIMIT):
            raise BadRequest(400, "a line inside a chunked body is too long")
        if end < 0:
            return None
        line = bytes(self._bytes[:end])
        del self._bytes[: end + 2]
        return line


def _head(lines: list[bytes]) -> Head:
    request = _REQUEST_LINE.fullmatch(lines[0])
    if request is None:
        raise BadRequest(400, "the request line is malformed")
    fields = []
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BadRequest(400, "a field line is malformed")
        fields.append((field[1].lower(), field[2]))
    head = Head(request[1].decode(), request[2], fields, http10=request[3] == b"0")
    _frame(head)
    return head


def _frame(head: Head) -> None:
    """Works out the body's length and what the connection is for (RFC 9112 6.3)."""
    values = {name: [value for field, value in head.fields if field == name] for name in _FRAMING}
    if len(values[b"host"]) > 1 or (not values[b"host"] and not head.http10):
        raise BadRequest(400, "there must be one Host field")
    head.length = _length(values[b"content-length"], values[b"transfer-encoding"], head.http10)
    options = [option.strip().lower() for value in values[b"connection"] for option in value.split(b",")]
    head.keep_alive = b"keep-alive" in options if head.http10 else b"close" not in options
    head.expects_continue = not head.http10 and [value.lower() for value in values[b"expect"]] == [b"100-continue"]
    if b"upgrade" in options and len(values[b"upgrade"]) == 1:
        head.upgrade = values[b"upgrade"][0].lower()


_FRAMING = (b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade")


def _length(lengths: list[bytes], codings: list[bytes], http10: bool) -> int:
    if codings:
        if http10 or lengths or [coding.lower() for coding in codings] != [b"chunked"]:
            raise BadRequest(400, "Transfer-Encoding must be chunked alone, without Content-Length, in HTTP/1.1")
        return -1
    if not lengths:
        return 0
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise BadRequest(400, "Content-Length must be one number")
    return int(lengths[0])
