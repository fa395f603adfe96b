"""What the poller serves: the events, who is told of them, and how one of those ends when the router itself was at fault."""

from __future__ import annotations

import logging
from typing import Any, Final, Protocol

READ: Final = 1  # EPOLLIN
WRITE: Final = 4  # EPOLLOUT
RESET: Final = 8  # EPOLLERR
BROKEN: Final = RESET | 16  # and EPOLLHUP, both directions have ended: reported whether asked for or not

log = logging.getLogger("router")


class Watched(Protocol):
    """A connection or listener on the poller."""

    def on_event(self, events: int) -> None:
        """Serve READ | WRITE | BROKEN. A call may be spurious: sockets are non-blocking."""

    def abort(self) -> None:
        """End at once, after `on_event` raised. An object with `crashed` is asked for that instead: it has others to tell."""


def crash(watched: Any, error: Exception) -> None:
    """A defect of ours ends one connection, not the worker."""
    log.error("a connection was closed because of an error in the router", exc_info=error)
    try:
        getattr(watched, "crashed", watched.abort)()
    except Exception:
        log.exception("the connection could not be ended in order")
