"""The words of the hostile corpus: what a client sends, what it must get, and what the function behind the router may have seen."""

from __future__ import annotations

from dataclasses import dataclass, field

PATH = b"/fn/f"
HOST = b"Host: h"


@dataclass(frozen=True, slots=True)
class Seen:
    """One whole message that the function got, as an independent parser reads it."""

    method: bytes
    target: bytes
    body: bytes = b""
    has: dict[str, bytes] = field(default_factory=dict)  # field name in lower case -> value, exactly one such line
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One connection of a client, from its first byte to its end."""

    name: str
    rule: str  # the section that decides it
    send: bytes
    statuses: tuple[int, ...]  # final responses, in order
    seen: tuple[Seen, ...] = ()  # nothing else may have reached the function as a whole message
    closed: bool = True  # the router closes; otherwise the connection must serve one more request
    fin: bool = False  # the client half-closes after sending
    fields: tuple[tuple[str, bytes], ...] = ()  # what the last response's head must contain
    either: tuple[int, ...] = ()  # other statuses that are as right for the last response


def head(*lines: bytes, start: bytes = b"GET /fn/f/x HTTP/1.1", host: bytes = HOST) -> bytes:
    """A request head with these field lines after Host."""
    return b"\r\n".join([start, *([host] if host else []), *lines]) + b"\r\n\r\n"


def post(*lines: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    """A POST to /x of the function, its body sent as it is."""
    return head(*lines, start=b"POST /fn/f/x HTTP/" + version) + body


def refused(name: str, rule: str, send: bytes, status: int = 400, either: tuple[int, ...] = ()) -> Case:
    """A request that reaches nobody and costs its sender the connection."""
    return Case(name, rule, send, (status,), either=either)


def passed(name: str, rule: str, send: bytes, *seen: Seen) -> Case:
    """Requests that each reach the function as exactly one message; the connection goes on."""
    return Case(name, rule, send, tuple(200 for _ in seen), seen, closed=False)
