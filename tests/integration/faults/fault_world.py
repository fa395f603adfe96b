"""What the tests of faults share: a data plane with short times, ends that break, a hole for connections, and counts."""

from __future__ import annotations

import contextlib
import socket
import time

from router.settings import Settings
from tests.integration.router.router_world import Origin, World

SHORT = Settings(
    connect_timeout=0.15,
    reconnect_timeout=0.3,
    head_timeout=0.3,
    body_idle_timeout=0.4,
    flush_timeout=0.5,
    linger_timeout=0.2,
)
GET = b"GET /fn/hello/x HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /fn/hello/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
HALF = b"POST /fn/hello/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"
UPGRADE = b"GET /fn/hello/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def read_by_router(world: World) -> None:
    """What was sent is read: a RST destroys what is not. Two turns, for the first may be one that had polled before."""
    for _ in range(2):
        world.call(lambda: None)


def left(world: World) -> dict[str, int]:
    """What is still there of requests, waiters and connections; empty when nothing is."""

    def count() -> dict[str, int]:
        plane = world.plane
        lives = list(plane.board.table.called.values())
        revisions = [revision for live in lives for revision in (live.revisions or {}).values()]
        counts = {
            "busy": sum(revision.gate.busy + revision.gate.exempt for revision in revisions),
            "waiting": sum(revision.gate.waiting for revision in revisions),
            "held": sum(revision.gate.room.held for revision in revisions),
            "at endpoints": sum(one.in_flight for revision in revisions for one in revision.upstreams.all.values()),
            "backing off": len(plane.board.backing_off),
            "clients": len(plane.clients.open),
            "connections": sum(1 for one in plane.pool.open_now if one.exchange is not None or one not in one.upstream.idle),
        }
        return {name: number for name, number in counts.items() if number}

    return world.call(count)


def idle(world: World) -> int:
    """Connections to functions that lie idle."""
    return world.call(lambda: len(world.plane.pool.open_now))


def nothing_is_left(world: World) -> bool:
    """All counts return to zero."""
    assert world.settles(lambda: not left(world)), left(world)
    return True


def no_more_connections(origin: Origin, seconds: float = 0.1) -> bool:
    """The function is not connected to again."""
    origin.listener.settimeout(seconds)
    with contextlib.suppress(TimeoutError):
        origin.listener.accept()[0].close()
        return False
    return True


class Hole:
    """A listener whose backlog is full: Linux drops every further SYN, so that connecting to it hangs."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.filling: list[socket.socket] = []
        for _ in range(16):
            self.filling.append(socket.socket())
            self.filling[-1].setblocking(False)
            self.filling[-1].connect_ex(self.listener.getsockname())
        time.sleep(0.02)

    def hangs(self) -> bool:
        """Does it swallow one more connection?"""
        with socket.socket() as probe:
            probe.settimeout(0.1)
            try:
                probe.connect(self.listener.getsockname())
            except TimeoutError:
                return True
            except OSError:
                return False
        return False

    def close(self) -> None:
        for sock in (*self.filling, self.listener):
            sock.close()
