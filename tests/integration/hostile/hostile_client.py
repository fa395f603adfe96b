"""A client that sends bytes as they are and reads responses by the book: lengths, chunks, or up to the end."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

WAIT = 30.0  # seconds until a router that says nothing has failed


@dataclass
class Response:
    """One response as received; `whole` is False when it broke off."""

    status: int
    fields: list[tuple[str, bytes]]
    body: bytes = b""
    whole: bool = True

    def __getitem__(self, name: str) -> bytes | None:
        return next((value for key, value in self.fields if key == name), None)


class Client:
    """One connection to the router."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT)
        self.buffer = b""
        self.ended = False

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes, fin: bool = False) -> None:
        """The router may have answered and closed before it read all of it: that is not an error here."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
        if fin:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)

    def more(self) -> bool:
        """Read what comes next; False at the end. Raises TimeoutError when nothing does."""
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        self.ended = self.ended or not data
        return bool(data)

    def until(self, mark: bytes) -> bytes | None:
        """Take the bytes up to the mark, the mark included; None at the end."""
        while mark not in self.buffer:
            if not self.more():
                return None
        taken, _, self.buffer = self.buffer.partition(mark)
        return taken + mark

    def exactly(self, count: int) -> bytes:
        """Take so many bytes, or fewer at the end."""
        while len(self.buffer) < count and self.more():
            pass
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def response(self, method: bytes = b"GET") -> Response | None:
        """The next response, interim ones included; None at the end."""
        head = self.until(b"\r\n\r\n")
        if head is None:
            return None
        start, *lines = head[:-4].split(b"\r\n")
        fields = [
            (name.decode("latin-1").lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)
        ]
        response = Response(int(start.split(b" ")[1]), fields)
        if response.status >= 200 and response.status not in (204, 304) and method != b"HEAD":
            self.body(response)
        return response

    def body(self, response: Response) -> None:
        """Read the body as its head frames it."""
        length = response["content-length"]
        if (response["transfer-encoding"] or b"").lower() == b"chunked":
            self.chunks(response)
        elif length is not None:
            response.body = self.exactly(int(length))
            response.whole = len(response.body) == int(length)
        else:
            while self.more():
                pass
            response.body, self.buffer = self.buffer, b""

    def chunks(self, response: Response) -> None:
        """Read chunks; the body is whole only with its last line."""
        response.whole = False
        while (line := self.until(b"\r\n")) is not None:
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                return
            if size == 0:
                while (line := self.until(b"\r\n")) not in (None, b"\r\n"):
                    pass
                response.whole = line == b"\r\n"
                return
            data = self.exactly(size + 2)
            response.body += data[:size]

    def closed(self) -> bool:
        """Does the router close, with nothing more said?"""
        while not self.ended and not self.buffer:
            try:
                self.more()
            except TimeoutError:
                return False
        return not self.buffer
