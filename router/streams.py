"""The two streams of an exchange, in its own words: to the client and to the function. A codec implements one or both.

`router.wire` does so for HTTP/1.1 over sockets; whatever multiplexes several requests over one connection has an object for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from router.errors import ProxyError
from router.http1.response import Response

if TYPE_CHECKING:
    from router.exchange import Exchange

Buffer = bytes | bytearray | memoryview


class Downward(Protocol):
    """The stream to the client. Buffers are taken or copied before a call returns."""

    @property
    def address(self) -> bytes:
        """The client's address."""

    def respond(self, response: Response, extra: bytes, payload: Buffer, whole: bool, wire: Buffer | None) -> None:
        """The final head with `extra` field lines, and the payload so far; `whole`: there is no more. `wire`, when given, is head
        and payload as one buffer, which a codec of the same kind may send as it is if `extra` is empty."""

    def inform(self, response: Response) -> None:
        """An interim response (1xx)."""

    def switch(self, response: Response, extra: bytes) -> None:
        """101 with `extra` field lines: from now on `send` is raw."""

    def send(self, payload: Buffer) -> None:
        """More of the body."""

    def send_end(self, trailers: bytes) -> None:
        """The end of the body."""

    def fail(self, error: ProxyError) -> None:
        """No response of the function will come: answer with this error."""

    def cut(self) -> None:
        """The response broke off: the client must be able to tell."""

    def finished(self, now: float) -> None:
        """The exchange is over, in order; the stream may begin another."""

    def pause(self) -> None:
        """Stop reading the request's body."""

    def resume(self) -> None:
        """Go on reading it."""


class Upward(Protocol):
    """The stream to an endpoint."""

    connected: bool

    def request(self, exchange: Exchange, extra: bytes, payload: Buffer, now: float) -> bool:
        """The head of the exchange's request with `extra` field lines, and the body so far: the stream is this exchange's now.

        False: it was closed before or has been idle for too long, and nothing was sent.
        """

    def send(self, payload: Buffer) -> None:
        """More of the body."""

    def send_end(self, trailers: bytes) -> None:
        """The end of the body."""

    def pause(self) -> None:
        """Stop reading the response."""

    def resume(self) -> None:
        """Go on reading it."""

    def release(self, now: float) -> None:
        """The exchange is over, in order: keep the connection for another if it can be."""

    def abort(self) -> None:
        """Close it now. Nothing is reported back."""
