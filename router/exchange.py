"""One request's life between two streams: arrive, go or wait, connect, send, respond, done. No clock and no socket in here.

A stream is one request and its answer on whatever carries them: HTTP/1.1 over a socket is one codec on each side, a multiplexing
one can stand beside it. Each half speaks to the other through this state machine, which alone knows gate, endpoint and time.

    IDLE -> SENT                     a slot and a pooled connection are free: the warm path
    IDLE -> WAITING -> CONNECTING -> SENT -> RESPONDING -> IDLE        SENT -> TUNNEL -> IDLE
    CONNECTING, SENT -> BACKOFF      the function read nothing yet and no other endpoint is left: again in a moment
"""

from __future__ import annotations

from typing import Final

from router.attempt import BACKOFF, CONNECTING, IDLE, RESPONDING, SENT, TUNNEL, WAITING, Attempt
from router.balance import share_of
from router.errors import BadUpstream, BodyTimeout, BodyTooLarge, ColdStartTimeout, ProxyError, Refused, ResponseTimeout
from router.gate import GO, Admission, Refusal
from router.http1.request import NOTHING as NO_REQUEST
from router.http1.request import Request
from router.http1.response import NOTHING as NO_RESPONSE
from router.http1.response import Response
from router.live import Revision
from router.model import Settings
from router.sticky import sticky_value
from router.streams import Buffer

__all__ = ("BACKOFF", "CONNECTING", "IDLE", "RESPONDING", "SENT", "TUNNEL", "WAITING", "Exchange")


class Exchange(Attempt):
    """One request and its answer. A codec that has one request at a time uses one object again and again."""

    __slots__ = ()

    # from the client's stream

    def begin(self, request: Request, payload: Buffer, whole: bool) -> None:
        """A request head, and the body so far. Raises ProxyError: then nothing has begun, and the codec answers."""
        board = self.board
        live = board.find_name(request.segment)
        if live is None or board.hosts:
            live, request = board.find(request)
        row = live.row
        if row is None:
            row = board.open(live)
        now = board.clock.now
        self.request = request
        self.live = live
        self.row = row
        self.began = self.moved = now
        self.deadline = now + live.timeout
        self.whole = whole
        self.received = size = len(payload)
        self.sent = 0
        if live.looked_into:
            self._apply(live.route.settings)
        revision = live.only or live.choose(share_of(self.sticky) if self.sticky else board.random())
        if revision is None:
            self._usual()
            raise Refused("No revision of this function takes requests", 1.0)
        self.revision = revision
        admission = revision.gate.arrive(self, now, self.deadline, size)
        if admission is GO:
            self._launch(payload, now)
        else:
            self._wait(admission, payload)

    def _apply(self, settings: Settings) -> None:
        limit = settings.body_limit
        if limit and max(self.request.fields.length, self.received) > limit:
            raise _too_large(limit)
        if settings.sticky:
            self.rare = True
            self.sticky = sticky_value(settings.sticky, self.request.lines)

    def _wait(self, admission: Admission | Refusal, payload: Buffer) -> None:
        """No slot is free: in the queue, or refused. Either wakes a function of which nothing is ready."""
        self.rare = True
        if not self.revision.gate.slots:
            self.wake = self.board.wait(self.live, self.revision)
        if isinstance(admission, Refusal):
            self._usual()
            self.row.unserved(admission.reason.value)
            words = admission.reason.words
            raise Refused(words[:1].upper() + words[1:], admission.retry_after)
        self.state = WAITING
        self.held = bytes(payload)
        self._bound()
        self.board.waited.add(self.live)
        if self.board.queued is not None:
            self.board.queued(self.live, self.revision)

    def request_data(self, payload: Buffer) -> None:
        """More of the request's body."""
        board = self.board
        self.moved = board.clock.now if self.state != BACKOFF else self.moved
        self.received += len(payload)
        limit = self.live.route.settings.body_limit
        if limit and self.received > limit and self.state != TUNNEL:
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
        if trailers:
            self.rare = True
            self.trailers = trailers
        if self.state >= SENT and self.up is not None:
            self.up.send_end(trailers)
        if self.state == TUNNEL and self.ended and not self.stalled:
            self.tunnel_over()

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
            self.revision.gate.abandon(self, now)
            self.row.unserved("abandoned")
            self._unserved(0, now)
            return
        self._drop_up()
        self._over(self.response.status if state >= RESPONDING else 0, now)

    def client_closing(self) -> bool:
        """The client sent a FIN behind a whole request (RFC 9112 9.6). True: there will be an answer. False: it only waited,
        or the function's owner wants it cancelled."""
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
        self.state = CONNECTING  # it has a slot, so if it gives up now it has one to give back
        self._launch(self.held or b"", now)

    def unqueued(self, error: ProxyError, reason: str) -> None:
        """The gate took this request out of its queue."""
        self.row.unserved(reason)
        self._unserved(error.status, self.board.clock.now)
        self.down.fail(error)

    def expired(self) -> None:
        """It waited until its deadline."""
        seconds = self.live.route.settings.timeout
        wait = self.revision.gate.expected_wait(self.board.clock.now)
        self.unqueued(ColdStartTimeout(f"The function was not ready within {seconds:g} s", max(1.0, wait)), "expired")

    # from the function's stream

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
        self.down.switch(response, b"" if self.wake is None else self._cold_start())
        return True

    def respond(self, response: Response, payload: Buffer, whole: bool, wire: Buffer | None) -> None:
        """The response head, and the payload so far."""
        self.response = response
        self.sent = len(payload)
        self.state = RESPONDING
        self.moved = now = self.board.clock.now
        self.down.respond(response, b"" if self.wake is None else self._cold_start(), payload, whole, wire)
        if whole and self.state == RESPONDING:
            self._finish(now)

    def response_data(self, payload: Buffer) -> None:
        """More of the response's body, or of a tunnel."""
        self.moved = self.board.clock.now
        self.sent += len(payload)
        self.down.send(payload)

    def response_end(self, trailers: bytes) -> None:
        """The response is complete; in a tunnel, the function sends no more."""
        self.down.send_end(trailers)
        if self.state == RESPONDING:
            self._finish(self.board.clock.now)
        elif self.state == TUNNEL:
            self.ended = True
            if self.whole:
                self.tunnel_over()

    def upstream_full(self) -> None:
        """The function takes no more for now."""
        if not self.whole or self.state == TUNNEL:
            self.rare = self.stalled = True
            self.down.pause()

    def upstream_ready(self) -> None:
        """The function takes more."""
        self.stalled = False
        self.moved = self.board.clock.now
        if not self.whole:
            self.down.resume()
        elif self.state == TUNNEL and self.ended:
            self.tunnel_over()

    def upstream_lost(self, answered: bool, failure: str, silent: bool = False) -> None:
        """The stream to the endpoint is gone. `answered`: some of a response had come; `failure`: one of meters.FAILURES;
        `silent`: it could not be opened, and not because its host refused."""
        now = self.board.clock.now
        self.up = None
        if self.state == CONNECTING:
            self._unreachable(now, silent)
            return
        self.row.failed(failure)
        if self.state == RESPONDING:
            status = self.response.status
            self._over(status, now)
            self.down.cut()
        elif self.state == TUNNEL:
            self._over(101, now)
            self.down.cut()
        elif not answered and self.held is not None and self._resendable() and self._may_try(now):
            self.row.retried()
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
                self._over(self.response.status, now)
                self.down.cut()
        elif now >= self.deadline and state >= CONNECTING:
            seconds = settings.timeout
            self.row.failed("timeout")
            self._give_up(ResponseTimeout(f"The function did not answer within {seconds:g} s"))
        elif state == CONNECTING and now - self.moved > self.board.patience.connect:
            self._drop_up()
            self._unreachable(now, silent=True)
        elif state == SENT and not self.whole and not self.stalled and now - self.moved > self.board.patience.body_idle:
            self._give_up(BodyTimeout("The request's body stopped coming"))

    # the end

    def forget(self) -> None:
        """Between requests: let go of what the last one left."""
        self.request = NO_REQUEST
        self.response = NO_RESPONSE
        self.held = b""

    def _cold_start(self) -> bytes:
        """Account for a cold start, once; returns its Server-Timing line."""
        assert self.wake is not None
        parts = self.wake.parts(self.began, self.released, self.sent_at)
        self.wake = None
        self.row.cold_start(*parts)
        return parts.server_timing()

    def _finish(self, now: float) -> None:
        """The response is complete. If the request is not, its connection cannot be used again."""
        up = self.up
        self.up = None
        if self.whole:
            up.release(now)  # type: ignore[union-attr]
        else:
            up.abort()  # type: ignore[union-attr]
        self._over(self.response.status, now)
        self.down.finished(now)

    def tunnel_over(self) -> None:
        """Both sides have ended, or the function takes no more either: what is out for the client still goes out."""
        now = self.board.clock.now
        self._drop_up()
        self._over(101, now)
        self.down.finished(now)


_LOST: Final = {
    "connect": "The function could not be reached",
    "reset": "The function closed its connection before it answered",
    "malformed": "The function answered something that is not HTTP/1.1",
    "timeout": "The function did not answer in time",
}


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"This function takes request bodies of at most {limit} bytes")
