"""The kinds of load that are measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load; src/load.lua knows by its name what to send."""

    connections: int
    path: str  # below /fn/hello
    title: str


SCENARIOS = {
    "get": Scenario(64, "/x", "64 connections, the same GET again and again, 13-byte answer"),
    "headers": Scenario(64, "/x", "64 connections, ten headers, path, cookie, request id and traceparent always new"),
    "post": Scenario(64, "/x", "64 connections, 16 KiB request body"),
    "big": Scenario(64, "/big", "64 connections, 64 KiB answer"),
    "one": Scenario(1, "/x", "1 connection, 13-byte answer: latency"),
}
IDLE = "idle"  # no load at all: the memory of open connections
IDLE_CONNECTIONS = 1000
