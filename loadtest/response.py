"""Tells where an HTTP/1.1 response ends, well enough for a load generator that trusts its server. No socket in here."""

from __future__ import annotations

import re

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class ResponseReader:
    """Reads one response after the other from the bytes of one connection; requests are not pipelined."""

    def __init__(self) -> None:
        self.status = 0  # of the response being read; 0 before its head is complete
        self.close = False  # the server closes after this response
        self._buffer = b""
        self._left = 0  # body bytes to come; -1: chunked

    def feed(self, data: bytes) -> bool:
        """Take bytes; True when they complete the response."""
        if not self.status:
            data = self._head(data)
            if not self.status:
                return False
        if self._left < 0:
            self._buffer = (self._buffer + data)[-5:]
            return self._buffer == b"0\r\n\r\n"
        self._left -= len(data)
        return self._left <= 0

    def reset(self) -> None:
        """Get ready for the next response."""
        self.status = 0
        self._buffer = b""

    def _head(self, data: bytes) -> bytes:
        """Look for a final head; returns the body bytes behind it."""
        self._buffer += data
        while not self.status:
            end = self._buffer.find(HEAD_END)
            if end < 0:
                return b""
            head, self._buffer = self._buffer[: end + 2], self._buffer[end + 4 :]
            status = int(head[9:12])
            if status < 200:
                continue  # interim
            self.status = status
            self.close = CLOSE.search(head) is not None
            length = LENGTH.search(head)
            self._left = -1 if CHUNKED.search(head) else int(length[1]) if length else 0
        body, self._buffer = self._buffer, b""
        return body
