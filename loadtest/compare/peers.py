"""The peers: how each is started, configured and asked for its version."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.compare.place import HOME, KIT, PORT, UPSTREAM, fill
from loadtest.compare.service import Service


@dataclass(frozen=True, slots=True)
class Peer:
    """Command lines, with @NAMES@ for place.fill."""

    start: str
    version: str = ""


PEERS = {
    "go": Peer("@BIN@/goproxy -listen @LISTEN@ -upstream @UPSTREAM@", "@VENV@/bin/go version"),
    "traefik": Peer("@VENV@/bin/traefik --configFile=@DIR@/traefik.yml", "@VENV@/bin/traefik version"),
    "traefik-fast": Peer("@VENV@/bin/traefik --configFile=@DIR@/traefik-fast.yml", "@VENV@/bin/traefik version"),
    "envoy": Peer(
        "@VENV@/bin/envoy -c @DIR@/envoy.yaml --concurrency 1 --disable-hot-restart -l error", "@VENV@/bin/envoy --version"
    ),
    "caddy": Peer("@VENV@/bin/caddy run --adapter caddyfile --config @DIR@/Caddyfile", "@VENV@/bin/caddy version"),
    "nginx": Peer("nginx -p @DIR@ -e stderr -c @DIR@/nginx.conf", "nginx -v"),
    "haproxy": Peer("haproxy -db -f @DIR@/haproxy.cfg", "haproxy -v"),
    "relay": Peer("@BIN@/relay @PORT@ @UPSTREAM_PORT@"),
}
DEFAULT_PEERS = "go,traefik,envoy,caddy,nginx,haproxy,relay"


def targets(peers: list[str], command: list[str], plain: bool = False, routes: int = 0) -> list[Service]:
    """The router under test, if there is a command for it, and the peers in the order asked for, each on its port.

    Beside the router that starts by itself: with `plain` its plain build, with `routes` one that has so many of them.
    """
    found = [router(command)] if command else []
    if command and plain:
        found.append(router(command, "plain", PORT + 2 + len(PEERS), {"CLOUDBASE_PLAIN": "1"}))
    if command and routes:
        found.append(router(command, "many routes", PORT + 3 + len(PEERS), {"BENCH_ROUTES": str(routes)}))
    ports = dict(zip(PEERS, range(PORT + 2, PORT + 2 + len(PEERS)), strict=True))
    return found + [peer(name, ports[name]) for name in peers]


def router(command: list[str], name: str = "router", port: int = PORT + 1, more: Mapping[str, str] | None = None) -> Service:
    """The router under test."""
    return Service(name, command, port, {"BENCH_LISTEN": f"127.0.0.1:{port}", "BENCH_UPSTREAM": UPSTREAM, **(more or {})})


def builds(services: list[Service]) -> dict[str, str]:
    """What each router said at start of its interpreter and build ("CPython 3.13.5, compiled"), where it said so."""
    found: dict[str, str] = {}
    for service in services:
        if service.name not in PEERS and service.log.exists():
            line = re.search(r"^[A-Za-z]*Py[A-Za-z]* [\d.]+, .+$", service.log.read_text(errors="replace"), re.MULTILINE)
            found |= {service.name: line[0]} if line else {}
    return found


def peer(name: str, port: int) -> Service:
    """A peer, with its configuration written under HOME."""
    directory = HOME / "run" / name
    directory.mkdir(parents=True, exist_ok=True)
    for template in (KIT / "configs").iterdir():
        (directory / template.name).write_text(fill(template.read_text(), port, directory))
    return Service(name, fill(PEERS[name].start, port, directory).split(), port, {"HOME": str(directory)})


def versions(peers: list[str]) -> dict[str, str]:
    """The versions of the programs behind the peers."""
    found = {}
    for name in peers:
        if command := fill(PEERS[name].version, 0).split():
            out = subprocess.run(command, capture_output=True, text=True)
            number = re.search(r"\d+(\.\d+)+", out.stdout + out.stderr)
            found[name] = number[0] if number else "?"
    return found
