"""Connections to endpoints: opening them, keeping idle ones, and letting those go that have been idle for too long."""

from __future__ import annotations

import errno
import socket
from functools import partial

from router import balance
from router.address import parse_address
from router.exchange import Exchange
from router.http1.response import Response
from router.http1.sender import Limits
from router.wire.buffer import FORGET, KEPT
from router.wire.date import DateLine
from router.wire.poller import Poller
from router.wire.upstream import UpstreamConnection, send_requests
from router.wire.upstream_socket import UpstreamSocket


class Pool:
    """All upstream connections of one worker; the idle ones of an endpoint lie in its `idle`, newest last."""

    def __init__(self, poller: Poller, limits: Limits, idle: float, most_idle: int) -> None:
        self.poller = poller
        self.limits = limits
        self.idle = idle  # seconds that a connection is kept idle
        self.most_idle = most_idle  # idle connections of one endpoint
        self.responses: dict[balance.Upstream, Response] = {}  # the last head of each endpoint: functions repeat themselves
        self.open_now: set[UpstreamConnection] = set()
        self._forget_at = 0.0
        self.outbox: list[UpstreamConnection] = []  # requests written in this turn of the poller
        self.date = DateLine()
        self._dated = b""  # what the clock said at the last look
        poller.send_by(self.outbox, partial(send_requests, self.outbox))

    def open(self, upstream: balance.Upstream, exchange: Exchange) -> UpstreamConnection:
        """As Connector.open."""
        family, address = parse_address(upstream.address)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(address)
            if code and code != errno.EINPROGRESS:
                raise OSError(code, errno.errorcode.get(code, "?"))
        except OSError:
            sock.close()
            raise
        connection = UpstreamConnection(self, upstream, exchange, sock, code == 0)
        self.open_now.add(connection)
        return connection

    def promised(self, seconds: int) -> float:
        """How long to keep a connection that the function keeps so long (Keep-Alive: timeout=N): not into its last second."""
        return min(self.idle, seconds - 1.0)

    def forget(self, connection: UpstreamSocket) -> None:
        """An idle connection ended."""
        try:
            connection.upstream.idle.remove(connection)
        except ValueError:
            pass  # taken out in the same breath

    def closed(self, connection: UpstreamSocket) -> None:
        """Close its socket."""
        self.open_now.discard(connection)
        self.poller.close_socket(connection.sock)

    def sweep(self, now: float) -> None:
        """Close the idle connections whose time is over, and those of endpoints that went; keep no head of one without any."""
        forgetting = now >= self._forget_at
        if forgetting:
            self._forget_at = now + FORGET
        connected = {connection.upstream for connection in self.open_now}
        for upstream in connected:
            over = [connection for connection in upstream.idle if upstream.gone or connection.expires <= now]
            if over:
                upstream.idle[:] = [] if upstream.gone else [one for one in upstream.idle if one.expires > now]
            for connection in over:
                connection.close()
            if forgetting:
                self._forget(upstream)
        for upstream in self.responses.keys() - connected:
            del self.responses[upstream]
        if self.date.now() is not self._dated:
            self._dated = self.date.now()
            self._forget_dates()

    def _forget_dates(self) -> None:
        """It is another second: heads that we dated are read anew when they come again, which costs the others nothing."""
        self.responses = {upstream: response for upstream, response in self.responses.items() if response.dated}
        for connection in self.open_now:
            if not connection.response.dated:
                connection.response.size = -1

    def _forget(self, upstream: balance.Upstream) -> None:
        """Let go of large heads of answers that no exchange needs."""
        for connection in upstream.idle:
            connection.forget()
        if upstream in self.responses and len(self.responses[upstream].raw) > KEPT:
            del self.responses[upstream]

    def close(self) -> None:
        """Close all."""
        for connection in list(self.open_now):
            connection.abort()
