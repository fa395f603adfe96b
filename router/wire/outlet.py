"""One side of a connection as far as writing goes: at once, or kept back until the kernel takes more, and then perhaps the FIN.

What both ends share, the client's and the function's. Whoever fills it is told to stop while something is kept back.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from router.streams import Buffer
from router.wire.buffer import BUSY, LARGE
from router.wire.watched import WRITE, crash

if TYPE_CHECKING:
    from router.wire.poller import Poller
    from router.wire.tls import TlsSocket

CLOSED: Final = 5  # the last state of every connection


class Outlet:
    """A non-blocking socket on a poller, and what it did not take yet."""

    # fmt: off
    __slots__ = (
        "buf", "deaf", "ending", "events", "fd", "out", "poller", "recv_into", "send_bytes", "sock", "state",
    )
    # fmt: on

    def __init__(self, poller: Poller, sock: socket.socket | TlsSocket, events: int) -> None:
        self.poller = poller
        self.sock = sock
        self.fd = sock.fileno()
        self.recv_into = sock.recv_into
        self.send_bytes = sock.send
        self.state = 0
        self.events = events  # what it is watched for
        self.buf = b""  # read, and not whole enough to go on
        self.out = b""  # what the kernel did not take yet, or what lies in an outbox: the same object
        self.ending = False  # shut the write side down once `out` is empty
        self.deaf = False  # the peer takes no more, but may still say something

    def _write(self, data: Buffer) -> None:
        if self.deaf:
            return
        if self.out:
            self._keep_back(self.out + data)
            return
        try:
            taken = self.send_bytes(data)
        except BUSY:
            taken = 0
        except OSError:
            self._unwritable()
            return
        if taken != len(data):
            self._keep_back(bytes(data[taken:]))

    def _write_parts(self, parts: list[Buffer]) -> None:
        size = sum(len(part) for part in parts)
        if self.out or self.deaf or size < LARGE:
            if size:
                self._write(b"".join(parts) if len(parts) > 1 else parts[0])
            return
        try:
            taken = self.sock.sendmsg(parts)
        except BUSY:
            taken = 0
        except OSError:
            self._unwritable()
            return
        if taken != size:
            self._keep_back(b"".join(parts)[taken:])

    def not_sent(self, taken: int) -> None:
        """Of `out`, which lay in an outbox, only so many bytes were taken; -1: none, and none will be."""
        try:
            if taken < 0:
                self.out = b""
                self._unsent()
            else:
                self._keep_back(self.out[taken:])
        except Exception as error:
            crash(self, error)

    def _keep_back(self, rest: bytes) -> None:
        self.out = rest
        self._set(self.events | WRITE)
        self._full()

    def _flush(self) -> None:
        """The kernel takes more."""
        if self.out:
            try:
                taken = self.send_bytes(self.out)
            except BUSY:
                return
            except OSError:
                self._unwritable()
                return
            self.out = self.out[taken:]
            if self.out:
                return
        self._set(self.events & ~WRITE)
        self._shut()
        self._free()

    def _shut(self) -> None:
        """Send the FIN once everything is out."""
        if self.ending and self.out:
            self._set(self.events | WRITE)  # it may have been in the outbox alone
        elif self.ending:
            self.ending = False
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self._unwritable()

    def _set(self, events: int) -> None:
        if events != self.events and self.state != CLOSED:
            self.events = events
            self.poller.change(self.fd, events)

    def _full(self) -> None:
        """Something is kept back: whoever fills this, pauses."""
        raise NotImplementedError

    def _free(self) -> None:
        """All is out: whoever fills this, goes on."""
        raise NotImplementedError

    def _unsent(self) -> None:
        """The peer took nothing of what was to be sent out."""
        self._unwritable()

    def _unwritable(self) -> None:
        """The peer takes nothing any more."""
        raise NotImplementedError
