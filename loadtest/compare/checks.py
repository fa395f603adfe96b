"""Right answers first: a target that does not do a function router's job is not measured."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable

from loadtest.compare.service import Service

START = 30.0  # seconds; a target that does not answer right by then has failed
HELLO = b"Hello, world!"
BIG = b"x" * 65536


class Wrong(Exception):
    """A target's answer is not what it must be."""


class Client:
    """One keep-alive connection to a target."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        self.http.connect()
        self.socket = self.http.sock

    def ask(self, path: str, status: int = 200, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        """The body of the answer, which must have this status and leave the connection open."""
        self.http.request("GET" if body is None else "POST", path, body, headers or {})
        answer = self.http.getresponse()
        content = answer.read()
        if answer.status != status:
            raise Wrong(f"{path}: status {answer.status}, not {status}: {content[:200]!r}")
        if status == 200 and self.http.sock is not self.socket:
            raise Wrong(f"{path}: the connection was not kept open")
        return content

    def expect(self, path: str, content: bytes) -> None:
        """The answer's body must be this."""
        got = self.ask(path)
        if got != content:
            raise Wrong(f"{path}: {len(got)} bytes {got[:100]!r}, not {len(content)} bytes {content[:100]!r}")

    def echo(self, number: int, body: bytes | None = None) -> dict[str, str]:
        """What the backend got for a request: its head's lines as a mapping, the request line as "", the rest as "got"."""
        headers = {"X-Request-Id": f"id-{number}", "Cookie": f"session={number}"}
        head, _, got = self.ask(f"/fn/hello/echo?n={number}", 200, body, headers).decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        seen = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return {"": first, "got": got, **seen}


def shortfalls(service: Service) -> list[str]:
    """Check the target's answers; returns what it does less than the others. Raises Fault when one is wrong."""
    try:
        return _check(service)
    except (OSError, http.client.HTTPException, Wrong) as error:
        raise service.fault(f"wrong answer: {error}") from None


def check_ready(service: Service) -> None:
    """Wait for the target's first right answer, then check the others. Raises Fault."""
    until_right(service, lambda target: Client(target.port).expect("/fn/hello/x", HELLO))
    shortfalls(service)


def until_right(service: Service, attempt: Callable[[Service], object]) -> None:
    """Repeat the attempt until it passes, the program ends or START is over. Raises Fault."""
    deadline = time.monotonic() + START
    while True:
        try:
            attempt(service)
            return
        except (OSError, http.client.HTTPException, Wrong) as error:
            if service.process.poll() is not None or time.monotonic() > deadline:
                raise service.fault(f"no right answer: {error}") from None
        time.sleep(0.1)


def _check(service: Service) -> list[str]:
    """Raise Wrong unless the target does the job; return what it does less than the others."""
    relay = service.name == "relay"  # the floor: strips, adds and finds nothing
    client = Client(service.port)
    client.expect("/fn/hello/x", HELLO)
    client.expect("/fn/hello/big", BIG)
    seen: dict[str, str] = {}
    for number in (1, 2):  # two that differ: a remembered head must not leak into the next request
        seen = client.echo(number)
        _must(seen, "", f"GET {'/fn/hello' if relay else ''}/echo?n={number} HTTP/1.1")
        _must(seen, "x-request-id", f"id-{number}")
        _must(seen, "cookie", f"session={number}")
        if not relay and not seen.get("x-forwarded-for"):
            raise Wrong("no X-Forwarded-For reached the backend")
    posted = client.echo(3, b"p" * 16384)["got"]
    if not posted.startswith("body 16384 "):
        raise Wrong(f"POST of 16384 bytes: the backend got {posted!r}")
    if not relay:
        Client(service.port).ask("/fn/nosuch/x", 404)
    return _less(seen, posted)


def _less(seen: dict[str, str], posted: str) -> list[str]:
    """Work that the target leaves undone."""
    less = [f"no {name} added" for name in ("X-Forwarded-Proto", "X-Forwarded-Host") if name.lower() not in seen]
    return less + (["no keep-alive to the upstream"] if posted.endswith(" request 1\n") else [])


def _must(seen: dict[str, str], name: str, value: str) -> None:
    """A line of the head that the backend got must have this value."""
    if seen.get(name) != value:
        raise Wrong(f"the backend got {name or 'request line'} {seen.get(name)!r}, not {value!r}")
