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
    from router.http1.request import Request

_MOST = 20_000  # lines that may wait to be written
_PERIOD = 0.2  # seconds between writes
_PIECE = 4096  # bytes written at once: a pipe takes so many in one piece (PIPE_BUF), so that lines of several workers never mix
_LONGEST = 500  # characters of a path, or of what should be a function's name, which may be six bytes each


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
        """A request of a function is over; status 0: it got no answer, for nobody was there to take it."""
        if self._wanted():
            key, upstream = exchange.live.route.key, exchange.upstream
            line = _line(exchange.request, key.name, key.project, status, exchange.down.address)
            line |= {"seconds": round(seconds, 6), "received": exchange.received, "sent": exchange.sent}
            self._lines.append(line if upstream is None else line | {"endpoint": upstream.address})

    def refused(self, request: Request | None, status: int, client: bytes) -> None:
        """What never became a function's: malformed (None), for a function that is not there, or one too many."""
        if self._wanted():
            segment = request.segment[:_LONGEST].decode("latin-1") if request is not None else ""
            name, _, project = segment.partition(".")
            self._lines.append(_line(request, name, project or ("default" if name else ""), status, client))

    def _wanted(self) -> bool:
        if self._share < 1 and self._random() >= self._share:
            return False
        if len(self._lines) >= _MOST:
            self._dropped += 1
            return False
        return True

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


def _line(request: Request | None, function: str, project: str, status: int, client: bytes) -> dict[str, object]:
    return {
        "time": time.time(),
        "function": function,
        "project": project,
        "method": request.method.decode() if request is not None else "",
        "path": _path(request.target) if request is not None else "",
        "status": status,
        "seconds": 0.0,
        "received": 0,
        "sent": 0,
        "client": client.decode("latin-1"),
        "endpoint": "",
    }


def _path(target: bytes) -> str:
    """Without the query, which may hold secrets."""
    return target.partition(b"?")[0][:_LONGEST].decode("latin-1")


def pieces(lines: list[bytes]) -> Iterator[bytes]:
    """Whole lines together, as many as may be written at once."""
    first, size = 0, 0
    for place, line in enumerate(lines):
        if place > first and size + len(line) > _PIECE:
            yield b"".join(lines[first:place])
            first, size = place, 0
        size += len(line)
    yield b"".join(lines[first:])
