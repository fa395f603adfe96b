"""Memory: a fresh target at rest, and with a thousand connections that wait."""

from __future__ import annotations

import socket
import sys
import time
from dataclasses import dataclass

from loadtest.compare.checks import HELLO, Client, check_ready
from loadtest.compare.scenarios import IDLE_CONNECTIONS
from loadtest.compare.service import Service, running

SETTLE = 1.0  # seconds before memory is read


@dataclass(frozen=True, slots=True)
class Idle:
    """The memory of a fresh target, before and with many open connections."""

    target: str
    rest_mib: float
    full_mib: float
    closed: int  # connections that the target did not keep

    @property
    def connection_kib(self) -> float:
        """What one connection costs."""
        return (self.full_mib - self.rest_mib) * 1024 / IDLE_CONNECTIONS


def measure_idle(targets: list[Service], cpu: int) -> list[Idle]:
    """Start each target alone and afresh; open connections, one request each, and leave them open."""
    found = []
    for target in targets:
        with running(target, cpu, check_ready):
            found.append(_measure(target))
        print(f"idle     {target.name:13} {found[-1].connection_kib:8.1f} KiB per connection", file=sys.stderr)
    return found


def _measure(target: Service) -> Idle:
    time.sleep(SETTLE)
    rest = target.rss()
    clients = [Client(target.port) for _ in range(IDLE_CONNECTIONS)]
    for client in clients:
        client.expect("/fn/hello/x", HELLO)
    time.sleep(SETTLE)
    idle = Idle(target.name, rest, target.rss(), sum(_is_closed(client.socket) for client in clients))
    for client in clients:
        client.http.close()
    return idle


def _is_closed(connection: socket.socket) -> bool:
    """Has the far side hung up?"""
    connection.settimeout(0)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
