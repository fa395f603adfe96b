"""The way of one request from a slot to its first byte at an endpoint: choosing, connecting, trying again. No clock in here.

The base of `Exchange`. What may be sent a second time is decided in here and nowhere else:
(a) connecting failed, (b) a pooled connection was closed before the kernel took a byte: nothing was sent, any method may go;
(c) the method is idempotent (RFC 9110 9.2.2), no byte of a response came, and the whole request is still held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.balance import Upstream
from router.errors import EXHAUSTED, UNANSWERED, BadUpstream, ProxyError
from router.gate import Ticket
from router.http1.request import Request
from router.http1.response import Response
from router.live import Live, Revision
from router.meters import Row
from router.streams import Buffer, Downward, Upward
from router.switchboard import Switchboard
from router.wake import Wake

if TYPE_CHECKING:
    from router.exchange import Exchange

IDLE: Final = 0
WAITING: Final = 1  # in a gate's queue
CONNECTING: Final = 2  # has a slot and an endpoint
BACKOFF: Final = 3  # has a slot, looks for an endpoint again in a moment
SENT: Final = 4  # head and body are on their way; nothing has come back
RESPONDING: Final = 5
TUNNEL: Final = 6

IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"))  # RFC 9110 9.2.2
BACKOFF_FOR: Final = 0.05  # seconds


class Attempt:
    """State of one request, and the part of its life that ends with the first byte sent."""

    # fmt: off
    __slots__ = (
        "began", "board", "deadline", "down", "ended", "held", "live", "moved", "rare", "received", "refused_since", "released",
        "request", "response", "revision", "row", "sent", "sent_at", "stalled", "state", "sticky", "trailers", "tried", "tries",
        "up", "upgrade", "upstream", "wake", "whole",
    )
    # fmt: on

    def __init__(self, board: Switchboard, down: Downward) -> None:
        self.board = board
        self.down = down
        self.state = IDLE
        self.request: Request
        self.live: Live[Exchange]
        self.revision: Revision[Exchange]
        self.row: Row
        self.response: Response
        self.upstream: Upstream | None = None
        self.up: Upward | None = None
        self.began = 0.0  # the whole request head was there
        self.deadline = 0.0  # of the response head
        self.moved = 0.0  # the last byte, either way; in BACKOFF the time of the next attempt
        self.held: bytes | None = b""  # the body so far, as long as it can be sent (again) from its beginning
        self.whole = True  # the request has come to its end; in a tunnel: the client's direction has
        self.received = 0  # bytes of the request's body
        self.sent = 0  # bytes of the response's body
        self.rare = False  # something of what follows is not as it is set here
        self._usual()

    def _usual(self) -> None:
        """What most requests never change."""
        self.rare = False
        self.released = 0.0  # let through by the gate after waiting
        self.sent_at = 0.0  # the kernel took the first byte
        self.refused_since = 0.0  # the first failure to connect; 0 = none
        self.stalled = False  # the function takes no more of the request's body for now
        self.ended = False  # in a tunnel: the function's direction has come to its end
        self.trailers = b""  # of the request, for a codec that is told `whole`
        self.upgrade = b""  # the protocol that the function is asked for, if the route allows it
        self.sticky = b""
        self.tried: tuple[Upstream, ...] = ()
        self.tries = 0
        self.wake: Wake | None = None  # of the cold start that it waited for

    def _launch(self, payload: Buffer, now: float) -> None:
        """It has a slot: find an endpoint and a stream to it."""
        upstream = self.revision.take(self.board.random, now, self.sticky, self.tried)
        if upstream is None:
            self._put_back(payload, now)
            return
        self.upstream = upstream
        idle = upstream.idle
        while idle and not upstream.suspect_until:  # a suspect proves itself by a new connection
            up = idle.pop()
            if self._send(up, payload, now):
                return
            up.abort()
        self._connect(upstream, payload, now)

    def _send(self, up: Upward, payload: Buffer, now: float) -> bool:
        """Send the head and the body so far. False: the stream is of no use any more, and took nothing."""
        request = self.request
        fields = request.fields
        self.up = up
        self.state = SENT
        if not self.whole:
            self.down.resume()  # it may have been paused while the request waited
        if fields.special is not None:
            self._allow_upgrade(fields.special.upgrade)
        extra = self.board.identity.lines(fields.missing, request.segment)
        if not up.request(self, extra, payload, now):  # type: ignore[arg-type]
            return False
        if payload:
            self.held = bytes(payload) if request.method in IDEMPOTENT and len(payload) <= self.board.patience.hold else None
        else:
            self.held = b""
        if self.wake is not None:
            self.sent_at = now
        return True

    def _allow_upgrade(self, protocol: bytes) -> None:
        self.rare = True
        self.upgrade = protocol if protocol.decode("latin-1") in self.live.route.settings.upgrades else b""

    def unsent(self, fresh: bool) -> None:
        """The stream ended before it took anything of the request, which is whole and has no body; `fresh`: it was its first."""
        upstream, now = self.upstream, self.board.clock.now
        assert upstream is not None
        self.up = None
        if fresh:
            self._unreachable(now)
        else:
            self._connect(upstream, b"", now)

    def _connect(self, upstream: Upstream, payload: Buffer, now: float) -> None:
        """Open a stream to this endpoint; what there is of the request is held until it is open."""
        self.held = bytes(payload)
        try:
            up = self.board.connector.open(upstream, self)  # type: ignore[arg-type]
        except OSError as error:
            self._unreachable(now, error.errno in UNANSWERED, error.errno in EXHAUSTED)
            return
        self.row.upstream_opened()
        if up.connected:
            self.up = up
            self.connected()
            return
        self.up = up
        self.state = CONNECTING
        self.moved = now
        self._bound()

    def connected(self) -> None:
        """The stream to the endpoint is open."""
        up, upstream, now = self.up, self.upstream, self.board.clock.now
        assert up is not None and upstream is not None
        if upstream.suspect_until:
            self.revision.upstreams.trust(upstream)
        if not self._send(up, self.held or b"", now):
            self._drop_up()
            self._unreachable(now)

    def _hold(self, payload: Buffer) -> None:
        """The body comes and cannot go on yet."""
        self.held = (self.held or b"") + bytes(payload)
        if self.state == WAITING and not self.revision.gate.grow(self, len(payload)):  # type: ignore[arg-type]
            self.down.pause()
        self._bound()

    def _bound(self) -> None:
        if not self.whole and self.held is not None and len(self.held) >= self.board.patience.hold:
            self.down.pause()

    def _put_back(self, payload: Buffer, now: float) -> None:
        """The endpoints went since the gate let it in: back to its old place in the queue."""
        self.rare = True
        self.held = bytes(payload)
        if self.revision.upstreams.ready:
            self._back_off(now)
            return
        self.state = WAITING
        self._pass_on(self.revision)
        ticket = Ticket(self, self.began, self.deadline, len(self.held))
        self.board.admit(ticket, self.revision)  # type: ignore[arg-type]
        if self.state == WAITING and not self.revision.gate.slots:
            self.wake = self.board.wait(self.live, self.revision)

    def _unreachable(self, now: float, silent: bool = False, exhausted: bool = False) -> None:
        """This endpoint could not be connected to: nothing was sent, so any method may go elsewhere (RFC 9110 9.2.2).

        `silent`: as `Upstreams.suspect`. `exhausted`: nobody is to blame but us, and a connection that is there already will do.
        """
        self.row.failed("connect")
        self.rare = True
        upstream, upstreams = self.upstream, self.revision.upstreams
        assert upstream is not None
        if not exhausted:
            upstreams.suspect(upstream, now, silent)
            self.board.suspected.add(self.live)
        self.refused_since = self.refused_since or now
        self.tries += 1
        if self.tries <= self.board.patience.tries and any(other.suspect_until <= now for other in upstreams.ready):
            self._elsewhere(now)
        elif now - self.refused_since > self.board.patience.reconnect or now >= self.deadline:
            self._give_up(BadUpstream("The function could not be reached"))
        else:
            self.revision.untake(upstream)
            self.upstream = None
            self._back_off(now)

    def _back_off(self, now: float) -> None:
        self.state = BACKOFF
        self.moved = now + BACKOFF_FOR
        self.board.backing_off.add(self)  # type: ignore[arg-type]

    def again(self) -> None:
        """The pause after a failed attempt is over. As many knock at suspects as the budget allows; the others wait on."""
        now = self.board.clock.now
        ready, budget = self.revision.upstreams.ready, self.live.budget
        if self.state != BACKOFF:
            return
        if now >= self.deadline:
            self._give_up(BadUpstream("The function could not be reached"))
        elif (
            not ready
            or any(one.suspect_until <= now for one in ready)
            or (budget and budget.spend(self.revision.gate.arrived, now))
        ):
            self._launch(self.held or b"", now)
        else:
            self._back_off(now)

    def _elsewhere(self, now: float) -> None:
        """Send it to another endpoint if there is one."""
        upstream = self.upstream
        assert upstream is not None
        self.revision.untake(upstream)
        self.upstream = None
        self.tried = (*self.tried, upstream)
        self._launch(self.held or b"", now)

    def _resendable(self) -> bool:
        return self.request.method in IDEMPOTENT

    def _may_try(self, now: float) -> bool:
        """Is a second send allowed: by number, by time and by the route's budget?"""
        self.rare = True
        self.tries += 1
        budget = self.live.budget
        return (
            self.whole
            and self.tries < self.board.patience.tries
            and now < self.deadline
            and budget is not None
            and budget.spend(self.revision.gate.arrived, now)
        )

    # how it ends

    def _over(self, status: int, now: float) -> None:
        """Give the slot back, and count."""
        self.state = IDLE
        self.row.finished(status, now - self.began, self.received, self.sent)
        if self.board.access is not None:
            self.board.access.finished(self, status, now - self.began)  # type: ignore[arg-type]
        upstream = self.upstream
        if self.rare:
            self._usual()
        if upstream is None:
            self.board.backing_off.discard(self)
            self._pass_on(self.revision)
            return
        self.upstream = None
        waiter = self.revision.leave(upstream, now)
        if waiter is not None:
            self.board.start_one(waiter, self.revision)

    def _unserved(self, status: int, now: float) -> None:
        """It leaves the queue without ever having had a slot."""
        self.state = IDLE
        self._usual()
        if self.board.access is not None:
            self.board.access.finished(self, status, now - self.began)  # type: ignore[arg-type]

    def _pass_on(self, revision: Revision[Exchange]) -> None:
        """Give back a slot that no endpoint was taken with."""
        waiter = revision.gate.leave(self.board.clock.now)
        if waiter is not None:
            self.board.start_one(waiter, revision)

    def _give_up(self, error: ProxyError) -> None:
        """No response will come, or no more of it."""
        state, now = self.state, self.board.clock.now
        self._drop_up()
        if state == WAITING:
            self.revision.gate.abandon(self, now)  # type: ignore[arg-type]
            self._unserved(error.status, now)
        else:
            self._over(error.status if state < RESPONDING else self.response.status, now)
        if state >= RESPONDING:
            self.down.cut()
        else:
            self.down.fail(error)

    def _drop_up(self) -> None:
        up = self.up
        if up is not None:
            self.up = None
            up.abort()
