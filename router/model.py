"""The router's nouns: RouteKey, Endpoint, Backend, Settings, Route.

Frozen data that any source of routes makes; no clock and no socket in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from autoscaler.model import Policy


class RouteKey(NamedTuple):
    """Identity of a route: `/fn/<name>` is project "default", `/fn/<name>.<project>` any other; host "*" is any."""

    host: str
    project: str
    name: str

    def __str__(self) -> str:
        """As logs and metrics call it: `name`, or `name.project` outside the default project."""
        return self.name if self.project == "default" else f"{self.name}.{self.project}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a revision: "10.0.0.7:8080", "[fd00::7]:8080" or "unix:/path/to.sock"."""

    address: str
    draining: bool = False  # takes new requests only when nothing else is left


@dataclass(frozen=True, slots=True)
class Backend:
    """One revision behind a route. Weight 0 takes no new requests but keeps what is in flight."""

    revision: str
    endpoints: tuple[Endpoint, ...] = ()
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """What a route's owner may set of the data plane. 0 switches a limit off unless its line says otherwise."""

    timeout: float = 60.0  # seconds: whole request head received -> response head; waiting, connecting, retrying included
    idle_timeout: float = 300.0  # seconds between bytes after that
    max_duration: float = 0.0  # seconds for the whole exchange
    drain_timeout: float = 600.0  # seconds that streams and tunnels may keep a retiring revision
    concurrency: int = 0  # hard limit of requests in flight at one endpoint
    queue_limit: int = 1000  # requests that may wait
    queue_bytes: int = 64 << 20  # bytes that waiting requests may hold
    body_limit: int = 0  # bytes of a request body, beyond which 413
    sticky: str = ""  # "" | "cookie:<name>" | "header:<name>"
    client_abort: Literal["", "fin"] = ""  # "fin": a FIN after a complete request cancels it
    upgrades: tuple[str, ...] = ("websocket",)  # protocols that may be upgraded to, lower case


@dataclass(frozen=True, slots=True)
class Route:
    """A name and the revisions behind it."""

    key: RouteKey
    backends: tuple[Backend, ...] = ()
    settings: Settings = Settings()
    policy: Policy | None = None  # None: not scaled by us
    hosts: tuple[str, ...] = ()  # Host values (lower case, no port) that mean this route whatever the path: "svc.ns.svc"
