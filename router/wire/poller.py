"""One poller for the data plane's sockets and for asyncio: ours are served at once, inside `select()`, the rest is handed back.

No Task, Future or transport stands between the kernel and a connection. asyncio's own selector is nested: one descriptor in ours,
asked only when it is readable, so that nothing private of `selectors` is used.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, Protocol, TypeVarTuple

from router.wire.watched import READ, WRITE, Watched, crash

Ts = TypeVarTuple("Ts")

_BATCH = 256  # events taken at once: what the rest waits while these are served stays well under 10 ms
_SLICE = 64  # … and served before what they wrote is sent, all of it together (docs/decisions/0018)


class Closable(Protocol):
    """A socket, plain or TLS."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Poller(selectors.BaseSelector):
    """A selector for asyncio that also serves the data plane. `now` is the monotonic clock, read once for each batch."""

    def __init__(self) -> None:
        self._asyncio = selectors.DefaultSelector()
        self._watched: dict[int, Any] = {}  # fd -> bound on_event
        self._doomed: list[Closable] = []
        self._outboxes: list[tuple[list[Any], Callable[[], None]]] = []
        self._serving = False
        self.wanted = False  # asyncio has something to do
        self.now = time.monotonic()

    @abstractmethod
    def watch(self, fd: int, watched: Watched, events: int = READ) -> None:
        """Serve a descriptor from now on."""

    @abstractmethod
    def change(self, fd: int, events: int) -> None:
        """Set what a watched descriptor is served for; 0 leaves BROKEN, where the system tells it."""

    @abstractmethod
    def _forget(self, fd: int) -> None: ...

    @abstractmethod
    def _wait(self, timeout: float) -> list[tuple[int, int]]:
        """Descriptors with their events; a negative timeout waits for ever."""

    def send_by(self, outbox: list[Any], send: Callable[[], None]) -> None:
        """Call `send` after some events, and before waiting, if there is something in this outbox. It leaves it empty."""
        self._outboxes.append((outbox, send))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, serve ours, and return asyncio's.

        One turn of asyncio's loop costs 2 us, so it is not taken for ours: this comes back only when asyncio has an event, a
        callback of its own (`wanted`), or its timeout is over.
        """
        end = time.monotonic() + timeout if timeout else 0.0
        self.wanted = False
        self._send()  # what asyncio's callbacks wrote
        while True:
            if self._serve(self._wait(-1.0 if timeout is None else max(0.0, timeout))):
                return self._asyncio.select(0)
            if self.wanted:
                return []
            if timeout is not None:
                timeout = end - self.now
                if timeout <= 0:
                    return []

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor that stays open."""
        if self._watched.pop(fd, None) is not None:
            self._forget(fd)

    def close_socket(self, sock: Closable) -> None:
        """Stop watching a socket and close it: at the end of the batch, so that its number stands for nothing else within it."""
        fd = sock.fileno()
        if fd < 0:
            return
        self.forget(fd)
        if self._serving:
            self._doomed.append(sock)
        else:
            sock.close()

    def _serve(self, events: list[tuple[int, int]]) -> bool:
        """Serve our descriptors; True if asyncio has some, too."""
        self.now = time.monotonic()
        self._serving = True
        foreign = False
        for start in range(0, len(events), _SLICE):
            foreign = self._serve_slice(events[start : start + _SLICE]) or foreign
            self._send()
        self._serving = False
        if self._doomed:
            for sock in self._doomed:
                sock.close()
            self._doomed.clear()
        return foreign

    def _send(self) -> None:
        full = True
        while full:  # who could not be sent its answer makes room for another's request
            full = False
            for outbox, send in self._outboxes:
                if outbox:
                    full = True
                    send()

    def _serve_slice(self, events: list[tuple[int, int]]) -> bool:
        watched = self._watched
        foreign = False
        for fd, event in events:
            try:
                on_event = watched[fd]
            except KeyError:
                foreign = True
                continue
            try:
                on_event(event)
            except Exception as error:
                crash(on_event.__self__, error)
        return foreign

    # what asyncio asks of a selector

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As selectors.BaseSelector.register, for asyncio."""
        return self._asyncio.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """As selectors.BaseSelector.unregister, for asyncio."""
        return self._asyncio.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As selectors.BaseSelector.modify, for asyncio."""
        return self._asyncio.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """As selectors.BaseSelector.get_map, for asyncio."""
        return self._asyncio.get_map()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """As selectors.BaseSelector.get_key, for asyncio."""
        return self._asyncio.get_key(fileobj)

    def close(self) -> None:
        """Close both selectors. Watched sockets are closed by their owners, before."""
        self._asyncio.close()


class EpollPoller(Poller):
    """On Linux: epoll itself, without a Python layer."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._epoll.register(self._asyncio.fileno(), READ)
        self._poll = self._epoll.poll

    def watch(self, fd: int, watched: Watched, events: int = READ) -> None:
        """As Poller.watch."""
        self._epoll.register(fd, events)
        self._watched[fd] = watched.on_event

    def change(self, fd: int, events: int) -> None:
        """As Poller.change."""
        self._epoll.modify(fd, events)

    def _forget(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def _wait(self, timeout: float) -> list[tuple[int, int]]:
        return self._poll(timeout, _BATCH)

    def close(self) -> None:
        """As Poller.close."""
        self._epoll.close()
        super().close()


class SelectorPoller(Poller):
    """Anywhere else (macOS: kqueue), through the selectors module."""

    def __init__(self) -> None:
        super().__init__()
        self._ours = selectors.DefaultSelector()
        self._ours.register(self._asyncio.fileno(), selectors.EVENT_READ)
        self._quiet: set[int] = set()  # watched for nothing at the moment, which selectors do not know

    def watch(self, fd: int, watched: Watched, events: int = READ) -> None:
        """As Poller.watch."""
        self._ours.register(fd, _mask(events))
        self._watched[fd] = watched.on_event

    def change(self, fd: int, events: int) -> None:
        """As Poller.change."""
        if not events:
            self._forget(fd)
            self._quiet.add(fd)
        elif fd in self._quiet:
            self._quiet.remove(fd)
            self._ours.register(fd, _mask(events))
        else:
            self._ours.modify(fd, _mask(events))

    def _forget(self, fd: int) -> None:
        if fd in self._quiet:
            self._quiet.remove(fd)
        else:
            self._ours.unregister(fd)

    def _wait(self, timeout: float) -> list[tuple[int, int]]:
        ready = self._ours.select(None if timeout < 0 else timeout)
        return [(key.fd, (mask & selectors.EVENT_READ) | (WRITE if mask & selectors.EVENT_WRITE else 0)) for key, mask in ready]

    def close(self) -> None:
        """As Poller.close."""
        self._ours.close()
        super().close()


def _mask(events: int) -> int:
    return (selectors.EVENT_READ if events & READ else 0) | (selectors.EVENT_WRITE if events & WRITE else 0)


class Loop(asyncio.SelectorEventLoop):
    """asyncio's own loop, on a poller that it tells when there is something to do."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        super().__init__(poller)

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        """As in asyncio."""
        self.poller.wanted = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As in asyncio; `call_later` comes through here."""
        self.poller.wanted = True
        return super().call_at(when, callback, *args, context=context)


def new_event_loop(poller: Poller | None = None) -> Loop:
    """An asyncio loop on a poller (a new one when none is given): `asyncio.Runner(loop_factory=new_event_loop)`."""
    return Loop(poller or new_poller())


def new_poller() -> Poller:
    """The fastest poller of this system."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()


def poller_of(loop: asyncio.AbstractEventLoop) -> Poller:
    """The poller that this loop, made by `new_event_loop`, runs on. Raises TypeError for any other loop."""
    if not isinstance(loop, Loop):
        raise TypeError("the data plane needs a loop made by router.wire.poller.new_event_loop")
    return loop.poller
