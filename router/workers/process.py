"""One worker as the control process has it: the child, the way to it, and its book."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from autoscaler.model import Sample
from router.meters import BEAT, read_worker
from router.samples import Samples
from router.wire.poller import Poller
from router.workers import book, messages
from router.workers.channel import Channel

Receive = Callable[["Process", messages.Report], None]


class Started:
    """A child, its end of the channel, and its book. Raises OSError when there can be none."""

    def __init__(self, listener: socket.socket, rooms: int) -> None:
        """`rooms`: descriptor of the memory that all workers share, which stays ours as the listener does."""
        self.channel, theirs = socket.socketpair()
        fd = book.make()
        inherited = (theirs.fileno(), fd, listener.fileno(), rooms)
        with theirs:
            safe = ["-P"] if sys.flags.safe_path else []  # a folder named `router` where we were started is not it
            command = [sys.executable, *safe, "-m", "router.workers.worker", *map(str, inherited)]
            self.child = subprocess.Popen(command, pass_fds=inherited, stdin=subprocess.DEVNULL)
        self.book = book.open_book(fd)


class Process:
    """A child that was started a moment ago, and what it says."""

    def __init__(
        self, place: int, number: int, started: Started, poller: Poller, receive: Receive, lost: Callable[[Process], None]
    ) -> None:
        self.place = place
        self.name = f"{place}.{number}"  # of this one process: who takes its place has another
        self.ready = False
        self.child = started.child
        self.book = started.book
        self._samples = Samples(self.book)
        self._beat = -1
        self._silent = 0
        self._last: dict[str, Sample] = {}
        self._channel: Channel[messages.Report] = Channel(
            poller, started.channel, messages.Report, lambda report: receive(self, report), lambda: lost(self)
        )

    def send(self, *orders: Any) -> None:
        """Orders, in this order."""
        self._channel.send(*orders)

    def samples(self) -> dict[str, Sample]:
        """What it said of each function at its last beat. One that is silent still has what it had: it is not idle by that."""
        try:
            read = self._samples.read()
        except ValueError:  # it has not begun its book
            return {}
        if read is not None:
            self._last = read[1]
            return self._last
        return {label: Sample(one.at, one.concurrency, 0, one.present) for label, one in self._last.items()}

    def silent(self) -> int:
        """Calls in a row at which its book said no more than before."""
        beat = read_worker(self.book)[BEAT]
        self._silent = self._silent + 1 if beat == self._beat else 0
        self._beat = beat
        return self._silent

    def abandon(self) -> None:
        """It is taken for dead: as if its channel had ended."""
        self._channel.abort()

    def gone(self) -> bool:
        """The child has ended, and is reaped."""
        return self.child.poll() is not None

    def end(self) -> None:
        """At once."""
        self._channel.close()
        self.child.kill()
