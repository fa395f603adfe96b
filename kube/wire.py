"""HTTP/1.1 as a client of the API server speaks it: request bytes out, response bytes in (RFC 9112). No socket in here.

The peer is trusted and one program, so this parser is small; what it does not understand is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HEAD_LIMIT = 64 << 10  # bytes of a response head
LINE_LIMIT = 4 << 10  # bytes of a chunk's size line or of a trailer


class WireError(Exception):
    """The response is no HTTP/1.1, or it broke off."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and fields; names in lower case, the last of repeated ones wins."""

    status: int
    fields: Mapping[str, str]


def encode_request(method: str, target: str, fields: Mapping[str, str], body: bytes) -> bytes:
    """The whole request. A field with a line break in it raises ValueError."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if body or method not in ("GET", "DELETE"):
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1:
        raise ValueError(f"{method} {target}: a header field contains a line break")
    return head.encode("latin-1") + b"\r\n\r\n" + body


class Response:
    """One response, fed with what the socket gives; `feed` returns the body bytes that became available."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.done = False
        self.keep = True  # the connection may be used again once this is done
        self._buffer = b""
        self._at = 0  # how much of the buffer is taken
        self._step = self._take_head
        self._left = 0  # bytes of the body or chunk that are still to come; -1 = until the connection closes
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """Raises WireError. Bytes after the end are an error, too: nothing was asked yet."""
        rest = self._buffer[self._at :]
        self._buffer, self._at = (rest + data if rest else data), 0
        while not self.done and self._step():
            pass
        if self.done and self._at < len(self._buffer):
            raise WireError("bytes after the end of the response")
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        return body

    def eof(self) -> None:
        """The connection is closed. Raises WireError unless that is how this response ends."""
        self.keep = False
        if self.done:
            return
        if self.head is None or self._left != -1:
            raise WireError("the connection was closed in the middle of the response")
        self.done = True

    def _line(self, limit: int, end: bytes = b"\r\n") -> bytes | None:
        stop = self._buffer.find(end, self._at)
        if (stop if stop >= 0 else len(self._buffer)) - self._at > limit:
            raise WireError(f"a line or head of more than {limit} bytes")
        if stop < 0:
            return None
        line = self._buffer[self._at : stop]
        self._at = stop + len(end)
        return line

    def _take_head(self) -> bool:
        block = self._line(HEAD_LIMIT, b"\r\n\r\n")
        if block is None:
            return False
        head = _parse_head(block)
        if 100 <= head.status < 200:
            return True  # interim: the real one follows
        self.head = head
        self._frame(head)
        return True

    def _frame(self, head: Head) -> None:
        self.keep = head.fields.get("connection", "").lower() != "close"
        coding, length = head.fields.get("transfer-encoding"), head.fields.get("content-length")
        if head.status in (204, 304):
            self.done = True
        elif coding is not None:
            if coding.lower() != "chunked":
                raise WireError(f"Transfer-Encoding {coding!r}")
            self._step = self._take_size
        elif length is not None:
            if not (length.isascii() and length.isdigit()):
                raise WireError(f"Content-Length {length!r}")
            self._left = int(length)
            self._step, self.done = self._take_body, self._left == 0
        else:
            self._left, self.keep, self._step = -1, False, self._take_body

    def _take_body(self) -> bool:
        if self._left == -1:
            self._left = len(self._buffer)
            self._take_some()
            self._left = -1
            return False
        self._take_some()
        self.done = self._left == 0
        return False

    def _take_some(self) -> None:
        some = self._buffer[self._at : self._at + self._left]
        self._at += len(some)
        self._left -= len(some)
        if some:
            self._body.append(some)

    def _take_size(self) -> bool:
        line = self._line(LINE_LIMIT)
        if line is None:
            return False
        size = line.partition(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError as error:
            raise WireError(f"chunk size {size!r}") from error
        if self._left < 0:
            raise WireError(f"chunk size {size!r}")
        self._step = self._take_chunk if self._left else self._take_trailer
        return True

    def _take_chunk(self) -> bool:
        self._take_some()
        if self._left:
            return False
        self._step = self._take_chunk_end
        return True

    def _take_chunk_end(self) -> bool:
        if len(self._buffer) - self._at < 2:
            return False
        if not self._buffer.startswith(b"\r\n", self._at):
            raise WireError("a chunk that is longer than it says")
        self._at += 2
        self._step = self._take_size
        return True

    def _take_trailer(self) -> bool:
        line = self._line(LINE_LIMIT)
        self.done = line == b""
        return line is not None and not self.done


class Lines:
    """Splits a stream into its lines; the parts of an unfinished one are joined only once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends and without empty ones."""
        if b"\n" not in data:
            self._parts.append(data)
            return []
        *lines, rest = data.split(b"\n")
        if self._parts:
            lines[0] = b"".join([*self._parts, lines[0]])
        self._parts = [rest] if rest else []
        return [line for line in lines if line]


def _parse_head(block: bytes) -> Head:
    start, *lines = block.decode("latin-1").split("\r\n")
    version, _, rest = start.partition(" ")
    status = rest[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not (status.isascii() and status.isdigit()):
        raise WireError(f"no HTTP/1.1 response: {start[:80]!r}")
    fields = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise WireError(f"no header field: {line[:80]!r}")
        fields[name.lower()] = value.strip()
    if version == "HTTP/1.0":
        fields["connection"] = "close"
    return Head(int(status), fields)
