"""Every setting of the data plane, with its default and meaning. The environment and the settings file are read in here only.

A setting comes, in this order, from a flag (`--head-size`), the environment (`ROUTER_HEAD_SIZE`), a TOML file (`head_size = 1`,
named by `--config` or ROUTER_CONFIG), or its default. A bad value stops the start and is shown with where it came from.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from router.address import parse_address
from router.http1.grammar import match_token
from router.http1.sender import Limits
from router.options import BadSetting, check_least, converted, setting, stated
from router.switchboard import Patience
from router.wire.listener import Times

PREFIX = "ROUTER_"


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for all routes of a router."""

    listen: str = setting("127.0.0.1:8080", 'where clients connect: "host:port", "[ipv6]:port" or "unix:/path"')
    workers: int = setting(0, "processes that move requests, besides the one that decides; 0 = one process does both", 0)
    client_connections: int = setting(
        0, "connections that clients may have in each worker; 0 = what half of the descriptors allow", 0
    )
    head_size: int = setting(65536, "bytes of a request or response head: 431, 502", 1024)
    head_fields: int = setting(100, "field lines of a request head: 431", 1)
    target_size: int = setting(8192, "bytes of a request target: 414", 64)
    head_timeout: float = setting(15.0, "seconds from a head's first byte to its last: 408", 0.05)
    idle_timeout: float = setting(75.0, "seconds that a client's connection may be idle between requests", 0.05)
    body_idle_timeout: float = setting(60.0, "seconds between bytes of a request body: 408", 0.05)
    flush_timeout: float = setting(30.0, "seconds that a client may take nothing of the end of its last answer", 0.05)
    linger_timeout: float = setting(2.0, "seconds that a client may take to close after its last answer", 0.05)
    connect_timeout: float = setting(2.0, "seconds for one attempt to connect to an endpoint", 0.01)
    reconnect_timeout: float = setting(5.0, "seconds of further attempts while every endpoint refuses: 502", 0)
    tries: int = setting(3, "sends and connects of one request while there is another endpoint", 1)
    hold_size: int = setting(65536, "bytes of one request's body that are read ahead while it waits", 1)
    upstream_idle: float = setting(50.0, "seconds that a connection to an endpoint is kept idle", 0)
    upstream_idle_connections: int = setting(512, "idle connections kept to one endpoint", 0)
    trusted: tuple[str, ...] = setting((), "networks whose X-Forwarded-* lines are believed, as CIDR")
    proxy_protocol: tuple[str, ...] = setting((), "networks that must begin a connection with PROXY protocol v2, as CIDR")
    via: str = setting("", "what the router calls itself in a Via field of each request that it sends on; 508 for loops")
    tls_certificate: str = setting("", "PEM file of the certificate chain; with it clients speak TLS")
    tls_key: str = setting("", "PEM file of its key")
    access_log: float = setting(0.0, "share of requests that are written to the access log: 0 none, 1 all", 0)
    drain_delay: float = setting(0.0, "seconds that a stopping router is not ready but still accepts", 0)
    drain_grace: float = setting(30.0, "seconds that a stopping router gives what is in flight", 0)

    def __post_init__(self) -> None:
        check_least(self, PREFIX)
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise BadSetting("tls_certificate and tls_key must both be set, or neither")
        if self.access_log > 1:
            raise BadSetting(f"access_log must be at most 1, was {self.access_log:g}")
        if self.via and match_token(self.via.encode()) is None:
            raise BadSetting(f'via must be a name like "cloudbase", of letters, digits and any of -._~, was {self.via!r}')
        for name in ("trusted", "proxy_protocol"):
            for network in getattr(self, name):
                _check_network(name, network)
        try:
            parse_address(self.listen)
        except ValueError as error:
            raise BadSetting(f"listen: {error}") from error

    def limits(self) -> Limits:
        """Bounds of a head."""
        return Limits(self.head_size, self.head_fields, self.target_size)

    def times(self) -> Times:
        """What a client may take."""
        return Times(self.head_timeout, self.idle_timeout, self.flush_timeout, self.linger_timeout)

    def patience(self) -> Patience:
        """What a request may take on its way to an endpoint."""
        return Patience(self.connect_timeout, self.reconnect_timeout, self.body_idle_timeout, self.hold_size, self.tries)


def load(flags: Mapping[str, str], environ: Mapping[str, str], config: str = "") -> Settings:
    """Settings from flags (by name), the environment and a TOML file. Raises BadSetting."""
    return Settings(**_in_file(config or environ.get(PREFIX + "CONFIG", "")) | stated(Settings, flags, environ, PREFIX))


def _in_file(path: str) -> dict[str, Any]:
    known = {one.name: one.default for one in fields(Settings)}
    table = _read(path)
    for name in table:
        if name not in known:
            raise BadSetting(f"there is no setting {name!r} (in {path}); the settings are: {', '.join(known)}")
    return {name: converted(known[name], value, f"{name} in {path}") for name, value in table.items()}


def _read(path: str) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadSetting(f"the settings file {path} cannot be read: {error}") from error


def _check_network(name: str, network: str) -> None:
    try:
        ip_network(network)
    except ValueError as error:
        raise BadSetting(f'{PREFIX}{name.upper()} must list networks like "10.0.0.0/8", was {network!r}') from error
