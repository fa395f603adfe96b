"""Every limit of the data plane, with its default. The environment and files are read in here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from router.http1.sender import Limits
from router.switchboard import Patience
from router.wire.listener import Times


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits that hold for all routes. Seconds and bytes, as the lines say."""

    head_size: int = 65536  # bytes of a request or response head
    head_fields: int = 100  # field lines of a request head
    target_size: int = 8192  # bytes of a request target
    head_timeout: float = 15.0  # seconds from a head's first byte to its last
    idle_timeout: float = 75.0  # seconds that a client's connection may be idle between requests
    body_idle_timeout: float = 60.0  # seconds between bytes of a request body
    flush_timeout: float = 30.0  # seconds that a client may take for the end of its last answer
    linger_timeout: float = 2.0  # seconds that a client may take to close after its last answer
    connect_timeout: float = 2.0  # seconds for one attempt to connect to an endpoint
    reconnect_timeout: float = 5.0  # seconds of further attempts while every endpoint refuses
    tries: int = 3  # sends and connects of one request at most, while there is another endpoint
    hold_size: int = 65536  # bytes of a body that are read ahead while the request waits
    upstream_idle: float = 50.0  # seconds that a connection to an endpoint is kept idle
    upstream_idle_connections: int = 512  # idle connections kept to one endpoint

    def limits(self) -> Limits:
        """Bounds of a head."""
        return Limits(self.head_size, self.head_fields, self.target_size)

    def times(self) -> Times:
        """What a client may take."""
        return Times(self.head_timeout, self.idle_timeout, self.flush_timeout, self.linger_timeout)

    def patience(self) -> Patience:
        """What a request may take on its way to an endpoint."""
        return Patience(self.connect_timeout, self.reconnect_timeout, self.body_idle_timeout, self.hold_size, self.tries)
