"""What a client's connection writes: the answer to the present request, whole or in parts, and ours where there is none."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from router.errors import ProxyError
from router.http1.body import chunk, last_chunk
from router.http1.fields import Fields
from router.http1.grammar import CRLF
from router.http1.response import Response
from router.http1.sender import Sender
from router.problem import render
from router.streams import Buffer
from router.wire.buffer import LARGE, SMALL
from router.wire.client_socket import CLOSED, FULL, HEAD, TUNNEL, ClientSocket
from router.wire.watched import READ

if TYPE_CHECKING:
    from router.wire.listener import Clients
    from router.wire.tls import TlsSocket

_NO_BODY: Final = (204, 304)
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 seconds


class ClientAnswers(ClientSocket):
    """The half of a Client that writes HTTP."""

    __slots__ = ("chunking", "fields", "last", "method", "sender")

    def __init__(self, clients: Clients, sock: socket.socket | TlsSocket, sender: Sender) -> None:
        super().__init__(clients, sock)
        self.sender = sender
        self.fields: Fields | None = None  # of the last request
        self.method = b""  # … and its method
        self.chunking = False  # the response's body is chunked
        self.last = False  # the present answer is the last one

    @property
    def address(self) -> bytes:
        """As Downward.address."""
        return self.sender.address

    def _await_body(self) -> None:
        """Read on. An answer before the body's end is the connection's last, and says so (RFC 9110 10.1.1)."""
        self.last = True
        self._set(self.events | READ)

    def respond(self, response: Response, extra: bytes, payload: Buffer, whole: bool, wire: Buffer | None) -> None:
        """As Downward.respond."""
        if extra or self.last or self.out or response.length < 0 or self.clients.draining:
            self._respond(response, extra, payload)
            return
        if wire is None:
            if len(payload) >= LARGE:
                self._write_parts([response.wire, payload])
                return
            wire = response.wire + payload
            if whole and not self.exchange.received and len(wire) <= SMALL and self.events == READ and not self.buf:
                self.out = wire
                self.clients.outbox.append(self)
                return
        self._write(wire)

    def _respond(self, response: Response, extra: bytes, payload: Buffer) -> None:
        """Any answer but the usual one."""
        if self.clients.draining:
            self.last = True
        framing = b""
        if response.length < 0 and self.method != b"HEAD" and response.status not in _NO_BODY:
            if self.fields is not None and self.fields.minor == b"1":
                framing = b"Transfer-Encoding: chunked\r\n"
                self.chunking = True
            else:
                self.last = True
        if self.last:
            framing += b"Connection: close\r\n"
        head = response.head + extra + framing + CRLF
        self._write_parts([head, *(chunk([memoryview(payload)]) if self.chunking else [payload])])

    def inform(self, response: Response) -> None:
        """As Downward.inform. HTTP/1.0 knows no interim responses."""
        if self.fields is not None and self.fields.minor == b"1":
            self._write(response.wire)

    def switch(self, response: Response, extra: bytes) -> None:
        """As Downward.switch."""
        self._write(response.head + extra + b"Connection: Upgrade\r\nUpgrade: " + response.upgrade + b"\r\n\r\n")
        self.state = TUNNEL
        self._set(self.events | READ)
        data, self.buf = self.buf, b""
        if data:
            self.exchange.request_data(data)

    def send(self, payload: Buffer) -> None:
        """As Downward.send."""
        if self.chunking:
            self._write_parts(chunk([memoryview(payload)]))
        else:
            self._write(payload)

    def send_end(self, trailers: bytes) -> None:
        """As Downward.send_end."""
        if self.state == TUNNEL:
            self.ending = True
            self._shut()
        elif self.chunking:
            self.chunking = False
            self._write(last_chunk(trailers))

    def _answer(self, error: ProxyError) -> None:
        if self.state != FULL or self.clients.draining:
            self.last = True
        head, body = render(error)
        closing = b"Connection: close\r\n" if self.last else b""
        bodied = not error.to_head and (self.method != b"HEAD" or self.state == HEAD)  # in HEAD it is the last request's method
        self._write(head + self.clients.date.now() + closing + CRLF + (body if bodied else b""))

    def cut(self) -> None:
        """As Downward.cut. A body that ends with the connection has no other sign of its end than the FIN: send a RST instead."""
        if self.state != CLOSED:
            if self.state != TUNNEL:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close()
