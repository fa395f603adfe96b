"""The access log: one JSON line for each request, or for a share of them. The loop only appends; a thread writes.

When the reader of the log is slower than the traffic, lines are dropped, counted, and the count is written: requests never wait.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from router.exchange import Exchange

_MOST = 20_000  # lines that may wait to be written
_PERIOD = 0.2  # seconds between writes
_PIECE = 4096  # bytes written at once: a pipe takes so many in one piece (PIPE_BUF), so that lines of several workers never mix
_LONGEST = 500  # characters of a path, which may be six bytes each


class AccessLog:
    """Writes to `out` until it is closed."""

    def __init__(self, out: BinaryIO, share: float, random: Callable[[], float]) -> None:
        self._out = out
        self._share = share  # 1: all
        self._random = random
        self._lines: deque[dict[str, object]] = deque()
        self._dropped = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def finished(self, exchange: Exchange, status: int, seconds: float) -> None:
        """A request is over."""
        if self._share < 1 and self._random() >= self._share:
            return
        if len(self._lines) >= _MOST:
            self._dropped += 1
            return
        request = exchange.request
        key = exchange.live.route.key
        self._lines.append(
            {
                "time": time.time(),
                "function": key.name,
                "project": key.project,
                "method": request.method.decode(),
                "path": request.target.partition(b"?")[0][:_LONGEST].decode("latin-1"),  # a query may hold secrets
                "status": status,
                "seconds": round(seconds, 6),
                "received": exchange.received,
                "sent": exchange.sent,
                "client": exchange.down.address.decode("latin-1"),
                "endpoint": exchange.upstream.address if exchange.upstream is not None else "",
            }
        )

    def close(self) -> None:
        """Write what is left."""
        self._stop.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append({"time": time.time(), "dropped": dropped})
        if not lines:
            return
        try:
            for piece in pieces([json.dumps(line).encode() + b"\n" for line in lines]):
                self._out.write(piece)
                self._out.flush()
        except (OSError, ValueError):
            return  # the reader is gone; there is nobody to tell


def pieces(lines: list[bytes]) -> Iterator[bytes]:
    """Whole lines together, as many as may be written at once."""
    first, size = 0, 0
    for place, line in enumerate(lines):
        if place > first and size + len(line) > _PIECE:
            yield b"".join(lines[first:place])
            first, size = place, 0
        size += len(line)
    yield b"".join(lines[first:])
