"""One end of the socketpair between the control process and a worker, on the data plane's poller."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from router.wire.buffer import BUSY
from router.wire.poller import Poller
from router.wire.watched import READ, WRITE
from router.workers.messages import Reader, frames

log = logging.getLogger("router")

T = TypeVar("T")

_AT_ONCE = 65536  # bytes read before the other sockets are served again: some hundred routes


class Channel(Generic[T]):
    """Messages in order, both ways. `kind` is the union that is received; `lost` is called once, when the other side is gone."""

    def __init__(
        self, poller: Poller, sock: socket.socket, kind: Any, receive: Callable[[T], None], lost: Callable[[], None]
    ) -> None:
        self._poller = poller
        self._sock = sock
        self._reader: Reader[T] = Reader(kind)
        self._receive = receive
        self._lost = lost
        self._out = bytearray()
        self._open = True
        sock.setblocking(False)
        poller.watch(sock.fileno(), self)

    def send(self, *messages: Any) -> None:
        """Sent at once as far as the kernel takes it, and kept until it does. Lost when the other side is gone."""
        if not self._open:
            return
        waiting = bool(self._out)
        self._out += frames(messages)
        if not waiting:
            self._flush()
            if self._open and self._out:
                self._poller.change(self._sock.fileno(), READ | WRITE)

    def close(self) -> None:
        """End it from this side, without a call of `lost`."""
        if self._open:
            self._open = False
            self._poller.close_socket(self._sock)

    def on_event(self, events: int) -> None:
        """As router.wire.poller.Watched."""
        if events & WRITE and self._out:
            self._flush()
            if self._open and not self._out:
                self._poller.change(self._sock.fileno(), READ)
        if not self._open or not events & ~WRITE:
            return
        try:
            data = self._sock.recv(_AT_ONCE)
        except BUSY:
            return
        except OSError:
            data = b""
        if not data:
            self.abort()
            return
        self._take(data)

    def abort(self) -> None:
        """As router.wire.poller.Watched: the other side is gone, or of no use any more."""
        if self._open:
            self.close()
            self._lost()

    def _take(self, data: bytes) -> None:
        try:
            messages = self._reader.feed(data)
        except msgspec.DecodeError:
            log.exception("a message between control process and worker could not be read")
            self.abort()
            return
        for message in messages:
            try:
                self._receive(message)
            except Exception:  # the others must not be lost with it
                log.exception("%s: unexpected error", type(message).__name__)

    def _flush(self) -> None:
        try:
            taken = self._sock.send(self._out)
        except BUSY:
            return
        except OSError:
            self.abort()
            return
        del self._out[:taken]
