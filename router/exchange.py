"""One request's life between two streams: arrive, go or wait, connect, send, respond, done. No clock and no socket in here.

A stream is one request and its answer on whatever carries them: `http1` over a socket is one codec on each side, a multiplexing one
can stand beside it. Each half speaks to the other through this state machine, which alone knows gate, endpoint, time and retries.

    IDLE -> SENT                     a slot and a pooled connection are free: the warm path
    IDLE -> WAITING -> CONNECTING -> SENT -> RESPONDING -> IDLE        SENT -> TUNNEL -> IDLE
    CONNECTING, SENT -> BACKOFF      the function read nothing yet and no other endpoint is left: again in a moment
"""

from __future__ import annotations

from typing import Final

from router.balance import Upstream
from router.errors import BadUpstream, BodyTimeout, BodyTooLarge, ColdStartTimeout, ProxyError, Refused, ResponseTimeout
from router.gate import GO, WAIT, Ticket
from router.http1.request import Request
from router.http1.response import Response
from router.live import Live, Revision
from router.sticky import sticky_value
from router.streams import Buffer, Downward, Upward
from router.switchboard import Switchboard
from router.wake import Wake

IDLE: Final = 0
WAITING: Final = 1  # in a gate's queue
CONNECTING: Final = 2  # has a slot and an endpoint
BACKOFF: Final = 3  # has a slot, looks for an endpoint again in a moment
SENT: Final = 4  # head and body are on their way; nothing has come back
RESPONDING: Final = 5
TUNNEL: Final = 6

IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"))  # RFC 9110 9.2.2
BACKOFF_FOR: Final = 0.05  # seconds


class Exchange:
    """The state of one request. A codec with one request at a time uses one object again and again."""

    __slots__ = (
        *(
            "began",
            "board",
            "deadline",
            "down",
            "ended",
            "held",
            "live",
            "moved",
            "received",
            "refused_since",
            "released",
            "request",
        ),
        *(
            "response",
            "revision",
            "sent",
            "sent_at",
            "state",
            "sticky",
            "trailers",
            "tried",
            "tries",
            "up",
            "upgrade",
            "upstream",
        ),
        *("wake", "whole"),
    )

    def __init__(self, board: Switchboard, down: Downward) -> None:
        self.board = board
        self.down = down
        self.state = IDLE
        self.request: Request
        self.live: Live[Exchange]
        self.revision: Revision[Exchange]
        self.upstream: Upstream | None = None
        self.up: Upward | None = None
        self.began = 0.0  # the whole request head was there
        self.deadline = 0.0  # of the response head
        self.moved = 0.0  # the last byte, either way; in BACKOFF the time of the next attempt
        self.released = 0.0  # let through by the gate
        self.sent_at = 0.0  # the kernel took the first byte; kept for cold starts only
        self.refused_since = 0.0  # the first failure to connect; 0 = none
        self.held: bytes | None = b""  # the body so far, as long as it can be sent (again) from its beginning
        self.whole = True  # the request has come to its end; in a tunnel: the client's direction has
        self.ended = False  # in a tunnel: the function's direction has come to its end
        self.trailers = b""  # of the request, for a codec that is told `whole`
        self.upgrade = b""  # the protocol that the function is asked for, if the route allows it
        self.received = 0  # bytes of the request's body
        self.sent = 0  # bytes of the response's body
        self.response: Response | None = None
        self.sticky = b""
        self.tried: tuple[Upstream, ...] = ()
        self.tries = 0
        self.wake: Wake | None = None  # of the cold start that it waited for

    # from the client's stream

    def begin(self, request: Request, payload: Buffer, whole: bool) -> None:
        """A request head, and the body so far. Raises ProxyError: then nothing has begun, and the codec answers."""
        board = self.board
        live = board.find_name(request.segment)
        if live is None or board.table.hosts:
            live = board.find(request)
        if live.row is None:
            board.open(live)
        settings = live.route.settings
        if settings.body_limit and max(request.fields.length, len(payload)) > settings.body_limit:
            raise _too_large(settings.body_limit)
        now = board.clock.now
        self.request = request
        self.live = live
        self.began = self.moved = now
        self.deadline = now + settings.timeout
        self.whole = whole
        self.received = len(payload)
        self.sticky = sticky_value(settings.sticky, request.fields.lines) if settings.sticky else b""
        self._admit(payload, now)

    def request_data(self, payload: Buffer) -> None:
        """More of the request's body."""
        board = self.board
        self.moved = board.clock.now if self.state != BACKOFF else self.moved
        self.received += len(payload)
        limit = self.live.route.settings.body_limit
        if limit and self.received > limit:
            self._give_up(_too_large(limit))
        elif self.state >= SENT:
            if self.held is not None:
                self.held = self.held + payload if self._resendable() and self.received <= board.patience.hold else None
            self.up.send(payload)  # type: ignore[union-attr]
        elif self.state != IDLE:
            self._hold(payload)

    def request_end(self, trailers: bytes) -> None:
        """The request's body is complete; in a tunnel, the client sends no more."""
        self.whole = True
        self.trailers = trailers
        if self.state >= SENT and self.up is not None:
            self.up.send_end(trailers)
        if self.state == TUNNEL and self.ended:
            self._end_tunnel()

    def request_broken(self, error: ProxyError) -> None:
        """The request's body is malformed."""
        if self.state != IDLE:
            self._give_up(error)

    def client_gone(self) -> None:
        """The client's stream was reset, or ended inside the request: nobody waits for the answer."""
        state = self.state
        if state == IDLE:
            return
        now = self.board.clock.now
        if state == WAITING:
            self.state = IDLE
            self.revision.gate.abandon(self, now)
            self.live.row.unserved("abandoned")  # type: ignore[union-attr]
            return
        self._drop_up()
        self._over(self.response.status if self.response is not None else 0, now)

    def client_closing(self) -> bool:
        """The client sent a FIN behind a whole request (RFC 9112 9.6): it is answered, unless it only waits, or the function's owner
        chose otherwise. True: there will be an answer."""
        if self.state == TUNNEL:
            return True
        if self.state in (WAITING, BACKOFF) or self.live.route.settings.client_abort == "fin":
            self.client_gone()
            return False
        return True

    def client_full(self) -> None:
        """The client takes no more for now."""
        if self.up is not None:
            self.up.pause()

    def client_ready(self) -> None:
        """The client takes more."""
        if self.up is not None:
            self.up.resume()

    # from the gate

    def go(self, revision: Revision[Exchange]) -> None:
        """It is this request's turn."""
        if self.state != WAITING:  # gone in the same breath
            self._pass_on(revision)
            return
        now = self.board.clock.now
        self.revision = revision
        self.released = now
        self._launch(self.held or b"", now)

    def unqueued(self, error: ProxyError, reason: str) -> None:
        """The gate took this request out of its queue."""
        self.state = IDLE
        self.live.row.unserved(reason)  # type: ignore[union-attr]
        self.down.fail(error)

    def expired(self) -> None:
        """It waited until its deadline."""
        seconds = self.live.route.settings.timeout
        wait = self.revision.gate.expected_wait(self.board.clock.now)
        self.unqueued(ColdStartTimeout(f"The function was not ready within {seconds:g} s", max(1.0, wait)), "expired")

    def again(self) -> None:
        """The pause after a failed attempt is over. Only as many knock at suspects as the route's budget allows; the others wait on."""
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

    # from the function's stream

    def connected(self) -> None:
        """The stream to the endpoint is open."""
        up, upstream, now = self.up, self.upstream, self.board.clock.now
        assert up is not None and upstream is not None
        if upstream.suspect_until:
            self.revision.upstreams.trust(upstream)
        if not self._send(up, self.held or b"", now):
            self.up = None
            self._unreachable(now)
        elif not self.whole:
            self.down.resume()

    def inform(self, response: Response) -> None:
        """An interim response."""
        if self.state == SENT:
            self.down.inform(response)

    def switch(self, response: Response) -> bool:
        """101. False: nobody asked for it."""
        if not self.upgrade or response.upgrade != self.upgrade or self.state != SENT:
            return False
        self.state = TUNNEL
        self.whole = self.ended = False
        self.held = None
        self.response = response
        self.moved = self.board.clock.now
        self.down.switch(response)
        return True

    def respond(self, response: Response, payload: Buffer, whole: bool, wire: Buffer | None) -> None:
        """The response head, and the payload so far."""
        self.response = response
        self.sent = len(payload)
        self.state = RESPONDING
        self.moved = self.board.clock.now
        extra = self._cold_start() if self.wake is not None else b""
        self.down.respond(response, extra, payload, whole, wire)
        if whole and self.state == RESPONDING:
            self._finish()

    def response_data(self, payload: Buffer) -> None:
        """More of the response's body, or of a tunnel."""
        self.moved = self.board.clock.now
        self.sent += len(payload)
        self.down.send(payload)

    def response_end(self, trailers: bytes) -> None:
        """The response is complete; in a tunnel, the function sends no more."""
        self.down.send_end(trailers)
        if self.state == RESPONDING:
            self._finish()
        elif self.state == TUNNEL:
            self.ended = True
            if self.whole:
                self._end_tunnel()

    def upstream_full(self) -> None:
        """The function takes no more for now."""
        if not self.whole or self.state == TUNNEL:
            self.down.pause()

    def upstream_ready(self) -> None:
        """The function takes more."""
        self.down.resume()

    def upstream_lost(self, answered: bool, failure: str) -> None:
        """The stream to the endpoint is gone. `answered`: some of a response had come; `failure`: one of meters.FAILURES."""
        now = self.board.clock.now
        self.up = None
        self.live.row.failed(failure)  # type: ignore[union-attr]
        if self.state == RESPONDING:
            status = self.response.status  # type: ignore[union-attr]
            self._over(status, now)
            self.down.cut()
        elif self.state == TUNNEL:
            self._over(101, now)
            self.down.cut()
        elif self.state == CONNECTING:
            self._unreachable(now)
        elif not answered and self.held is not None and self._resendable() and self._may_try(now):
            self.live.row.retried()  # type: ignore[union-attr]
            self._elsewhere(now)
        else:
            self._give_up(BadUpstream(_LOST[failure]))

    # from the clock

    def check(self, now: float) -> None:
        """Look at the time. Call it every quarter of a second."""
        state = self.state
        settings = self.live.route.settings
        if state in (RESPONDING, TUNNEL):
            if (settings.idle_timeout and now - self.moved > settings.idle_timeout) or (
                settings.max_duration and now - self.began > settings.max_duration
            ):
                self._drop_up()
                self._over(self.response.status, now)  # type: ignore[union-attr]
                self.down.cut()
        elif now >= self.deadline and state >= CONNECTING:
            seconds = settings.timeout
            self.live.row.failed("timeout")  # type: ignore[union-attr]
            self._give_up(ResponseTimeout(f"The function did not answer within {seconds:g} s"))
        elif state == CONNECTING and now - self.moved > self.board.patience.connect:
            self._drop_up()
            self._unreachable(now)
        elif state == SENT and not self.whole and now - self.moved > self.board.patience.body_idle:
            self._give_up(BodyTimeout("The request's body stopped coming"))

    # how it goes on

    def _admit(self, payload: Buffer, now: float) -> None:
        revision = self.live.choose(self.board.random()) if self.live.only is None else self.live.only
        if revision is None:
            raise Refused("No revision of this function takes requests", 1.0)
        self.revision = revision
        self.wake = None
        self.tried = ()
        self.tries = 0
        self.refused_since = 0.0
        self.upgrade = b""
        self.response = None
        self.sent = 0
        admission = revision.gate.arrive(self, now, self.deadline, len(payload))
        if admission is GO:
            self.released = now
            self._launch(payload, now)
            return
        if not revision.gate.slots:
            self.wake = self.board.wait(self.live)
        if admission is WAIT:
            self.state = WAITING
            self.held = bytes(payload)
            self._bound()
            return
        self.live.row.unserved(admission.reason.value)  # type: ignore[union-attr]
        raise Refused(_capital(admission.reason.words), admission.retry_after)

    def _launch(self, payload: Buffer, now: float) -> None:
        """It has a slot: find an endpoint and a stream to it."""
        upstream = self.revision.take(self.board.random, now, self.sticky, self.tried)
        if upstream is None:
            self._put_back(payload, now)
            return
        self.upstream = upstream
        idle = upstream.idle
        while idle:
            up = idle.pop()
            if up.expires > now and self._send(up, payload, now):
                return
            up.abort()
        self._connect(upstream, payload, now)

    def _send(self, up: Upward, payload: Buffer, now: float) -> bool:
        """Send the head and the body so far. False: the stream had been closed before, and took nothing."""
        request = self.request
        fields = request.fields
        extra = self.board.identity.lines(fields.missing) if fields.missing else b""
        if request.segment:
            extra = b"X-Forwarded-Prefix: /fn/%b\r\n%b" % (request.segment, extra)
        if fields.special:
            self.upgrade = fields.upgrade if fields.upgrade.decode("latin-1") in self.live.route.settings.upgrades else b""
        self.up = up
        up.exchange = self
        self.state = SENT
        if not up.request(request, extra, payload, self.whole):
            return False
        if self.wake is not None:
            self.sent_at = now
        if payload:
            self.held = bytes(payload) if request.method in IDEMPOTENT and len(payload) <= self.board.patience.hold else None
        else:
            self.held = b""
        return True

    def _connect(self, upstream: Upstream, payload: Buffer, now: float) -> None:
        """Open a stream to this endpoint; what there is of the request is held until it is open."""
        self.held = bytes(payload)
        try:
            up = self.board.connector.open(upstream, self)
        except OSError:
            self._unreachable(now)
            return
        self.live.row.upstream_opened()  # type: ignore[union-attr]
        if up.connected:
            self.up = up
            self.connected()
            return
        self.up = up
        self.state = CONNECTING
        self.moved = now
        self._bound()

    def _hold(self, payload: Buffer) -> None:
        """The body comes and cannot go on yet."""
        self.held = (self.held or b"") + bytes(payload)
        if self.state == WAITING and not self.revision.gate.grow(self, len(payload)):
            self.down.pause()
        self._bound()

    def _bound(self) -> None:
        if not self.whole and self.held is not None and len(self.held) >= self.board.patience.hold:
            self.down.pause()

    def _put_back(self, payload: Buffer, now: float) -> None:
        """The endpoints went since the gate let it in: back to its old place in the queue."""
        self.held = bytes(payload)
        if self.revision.upstreams.ready:
            self._back_off(now)
            return
        self.state = WAITING
        self._pass_on(self.revision)
        ticket = Ticket(self, self.began, self.deadline, len(self.held))
        self.board.admit(ticket, self.revision)
        if self.state == WAITING and not self.revision.gate.slots:
            self.wake = self.board.wait(self.live)

    def _unreachable(self, now: float) -> None:
        """This endpoint could not be connected to: nothing was sent, so any method may go elsewhere (RFC 9110 9.2.2)."""
        self.live.row.failed("connect")  # type: ignore[union-attr]
        upstream, upstreams = self.upstream, self.revision.upstreams
        assert upstream is not None
        upstreams.suspect(upstream, now)
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
        self.board.backing_off.add(self)

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
        self.tries += 1
        budget = self.live.budget
        return (
            self.whole
            and self.tries < self.board.patience.tries
            and now < self.deadline
            and budget is not None
            and budget.spend(self.revision.gate.arrived, now)
        )

    def _cold_start(self) -> bytes:
        """Account for a cold start, once; returns its Server-Timing line."""
        assert self.wake is not None
        parts = self.wake.parts(self.began, self.released, self.sent_at)
        self.wake = None
        self.live.row.cold_start(*parts)  # type: ignore[union-attr]
        return parts.server_timing()

    # how it ends

    def _end_tunnel(self) -> None:
        self._drop_up()
        self._over(101, self.board.clock.now)
        self.down.finished()

    def _finish(self) -> None:
        """The response is complete. If the request is not, its connection cannot be used again."""
        up = self.up
        assert up is not None
        self.up = None
        if self.whole:
            up.release()
        else:
            up.abort()
        self._over(self.response.status, self.board.clock.now)  # type: ignore[union-attr]
        self.down.finished()

    def _over(self, status: int, now: float) -> None:
        """Give the slot back, and count."""
        self.state = IDLE
        upstream = self.upstream
        self.live.row.finished(status, now - self.began, self.received, self.sent)  # type: ignore[union-attr]
        if upstream is None:
            self.board.backing_off.discard(self)
            self._pass_on(self.revision)
            return
        self.upstream = None
        waiter = self.revision.leave(upstream, now)
        if waiter is not None:
            self.board.start_one(waiter, self.revision)

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
            self.revision.gate.abandon(self, now)
            self.state = IDLE
        else:
            self._over(error.status if state != RESPONDING else self.response.status, now)  # type: ignore[union-attr]
        if state == RESPONDING:
            self.down.cut()
        else:
            self.down.fail(error)

    def _drop_up(self) -> None:
        up = self.up
        if up is not None:
            self.up = None
            up.abort()


_LOST: Final = {
    "connect": "The function could not be reached",
    "reset": "The function closed its connection before it answered",
    "malformed": "The function answered something that is not HTTP/1.1",
    "timeout": "The function did not answer in time",
}


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"This function takes request bodies of at most {limit} bytes")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
