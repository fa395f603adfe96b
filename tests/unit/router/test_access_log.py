"""The access log never makes a request wait: what its reader does not take in time is dropped and counted."""

from __future__ import annotations

import io
import json
import re
import threading
from pathlib import Path
from typing import Any

from router import access_log
from router.access_log import AccessLog
from tests.fuzz.memory import Memory
from tests.unit.router.exchange_world import World


class Stuck(io.RawIOBase):
    """A pipe that nobody reads, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.free = threading.Event()
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.entered.set()
        assert self.free.wait(10)
        self.taken += bytes(data)
        return len(data)


def test_lines_that_a_stuck_reader_does_not_take_are_dropped_and_counted(monkeypatch: Any) -> None:
    monkeypatch.setattr(access_log, "_MOST", 10)
    out = Stuck()
    world = World()
    world.board.access = log = AccessLog(out, 1.0, lambda: 0.0)  # type: ignore[arg-type]
    world.put("a:1")
    ask(world, 1)
    assert out.entered.wait(10)  # the writer is stuck with the first line, and the loop goes on
    ask(world, 25)
    out.free.set()
    log.close()
    lines = [json.loads(line) for line in out.taken.splitlines()]
    assert [line["path"] for line in lines if "path" in line] == ["/x"] * 11
    assert [line["dropped"] for line in lines if "dropped" in line] == [15]


def test_a_share_of_the_requests_can_be_logged() -> None:
    out = io.BytesIO()
    world = World()
    draws = iter((0.05, 0.2, 0.099, 0.9))
    world.board.access = log = AccessLog(out, 0.1, lambda: next(draws))
    world.put("a:1")
    ask(world, 4)
    log.close()
    assert len(out.getvalue().splitlines()) == 2


def test_who_never_got_to_a_function_is_in_the_log_too() -> None:
    out = io.BytesIO()
    memory = Memory()
    memory.board.access = log = AccessLog(out, 1.0, lambda: 0.0)
    refused = (b"GET /fn/nobody.team/x?secret=1 HTTP/1.1\r\nHost: h\r\n\r\n", b"get /fn/f HTTP/1.1\r\nHost: h\r\n\r\n")
    for request in refused:
        memory.feed(memory.connect(), [request])
    memory.put(timeout=5.0, queue_limit=2)  # nothing is ready
    late, gone, third = (memory.connect() for _ in range(3))
    for client in (late, gone, third):
        memory.feed(client, [b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"])
    gone.reset = True
    memory.run()
    memory.pass_time(5.5)
    memory.close()
    log.close()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["function"], line["project"], line["method"], line["path"], line["status"]) for line in lines] == [
        ("nobody", "team", "GET", "/x", 404),
        ("", "", "", "", 400),
        ("f", "default", "GET", "/x", 503),
        ("f", "default", "GET", "/x", 0),
        ("f", "default", "GET", "/x", 504),
    ]
    assert [line["seconds"] >= 5 for line in lines] == [False, False, False, False, True]
    assert all(line["client"] == "192.0.2.1" and line["endpoint"] == "" for line in lines)
    assert b"secret" not in out.getvalue()


def test_a_line_fits_into_one_write_whatever_was_asked_for() -> None:
    out = io.BytesIO()
    memory = Memory()
    memory.board.access = log = AccessLog(out, 1.0, lambda: 0.0)
    for target in (b"/fn/" + b'"' * 8000, b"/fn/x." + b'"' * 8000, b"/" + b'"' * 8000):
        memory.feed(memory.connect(), [b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n"])
    memory.close()
    log.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 3 and all(len(line) < access_log._PIECE for line in lines)


def test_every_field_of_a_line_is_documented() -> None:
    out = io.BytesIO()
    world = World()
    world.board.access = log = AccessLog(out, 1.0, lambda: 0.0)
    world.put("a:1")
    ask(world, 1)
    log.close()
    text = (Path(__file__).resolve().parents[3] / "docs/router-settings.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| [^`|]+ \|$", text.partition("## The access log")[2], re.MULTILINE)
    assert rows == list(json.loads(out.getvalue()))


def ask(world: World, times: int) -> None:
    """Requests that are answered at once."""
    for _ in range(times):
        world.begin()
        world.streams[-1].answer(body=b"ok")
