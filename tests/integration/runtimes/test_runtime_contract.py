"""What docs/runtime-contract.md promises, for every form of both runtimes, with real processes and sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.integration.runtimes.behaviours import FORMS, STREAMING_IN
from tests.shared.function_process import Answer, FunctionProcess, eventually

Start = Callable[..., FunctionProcess]
EVERY_FORM = pytest.mark.parametrize("form", FORMS)
OURS = pytest.mark.parametrize("form", [form for form in FORMS if form != "node-program"])  # that answer for the function
MIB = 1 << 20


def ask(function: FunctionProcess, head: str, body: bytes = b"") -> socket.socket:
    """A connection on which a request was written by hand."""
    connection = function.connect()
    connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    return connection


def everything(connection: socket.socket) -> bytes:
    received = b""
    with connection:
        while piece := connection.recv(65536):
            received += piece
    return received


@EVERY_FORM
def test_code_that_throws_gives_500_without_internals_and_the_log_has_the_stack(start: Start, form: str) -> None:
    function = start(form)
    answer = function.request("/throw")
    assert answer.status == 500
    assert b"secret" not in answer.body
    eventually(lambda: _in_log(function, "secret of the function", "index.js" if form.startswith("node") else "main.py"))
    assert function.request("/again").status == 200


@OURS
def test_the_500_is_a_problem_document_with_the_request_id_and_so_has_the_log(start: Start, form: str) -> None:
    function = start(form)
    answer = function.request("/throw", headers={"X-Request-Id": "id-42"})
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["requestId"]) == (500, "id-42")
    eventually(lambda: _in_log(function, "id-42"))


def _in_log(function: FunctionProcess, *parts: str) -> None:
    log = function.log
    assert all(part in log for part in parts), log


@contextmanager
def held(function: FunctionProcess) -> Iterator[Future[Answer]]:
    """While the function is inside a request, which it lets go at the end."""
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(function.request, "/held")
        try:
            eventually(lambda: _in_log(function, "called /held"))
            yield request
            assert not request.done()
        finally:
            (function.folder / "let-go").touch()
        assert request.result().body == b"held"


@EVERY_FORM
def test_an_answer_that_breaks_off_never_looks_whole(start: Start, form: str) -> None:
    function = start(form)
    received = everything(ask(function, "GET /late HTTP/1.1\nHost: x\nX-Forwarded-For: a"))
    assert b"half" in received
    assert not received.endswith(b"0\r\n\r\n")


@EVERY_FORM
def test_sigterm_lets_a_request_finish_and_then_the_process_ends_with_0(start: Start, form: str) -> None:
    function = start(form)
    with held(function) as request:
        function.terminate()
        eventually(lambda: _ends(function))
    assert request.result().headers["connection"] == "close"
    assert function.exit_code() == 0


def _ends(function: FunctionProcess) -> None:
    assert not function.accepts()


@EVERY_FORM
def test_sigterm_ends_an_idle_process_at_once_also_with_idle_connections(start: Start, form: str) -> None:
    function = start(form)
    with ask(function, "GET / HTTP/1.1\nHost: x\nX-Forwarded-For: a") as idle:
        idle.recv(65536)
        before = time.monotonic()
        function.terminate()
        assert function.exit_code() == 0
        assert time.monotonic() - before < 3.0  # of 30
        everything(idle)  # comes to an end


@EVERY_FORM
def test_what_is_left_at_the_end_of_the_grace_is_broken_off(start: Start, form: str) -> None:
    function = start(form, env={"CLOUDBASE_GRACE": "1.3"})
    with ask(function, "GET /slow?ms=60000 HTTP/1.1\nHost: x\nX-Forwarded-For: a"):
        eventually(lambda: _in_log(function, "called /slow"))
        function.terminate()
        assert function.exit_code() == 0
        assert "still in flight" in function.stderr


@EVERY_FORM
def test_health_is_answered_without_the_function_and_only_when_the_router_did_not_send_it(start: Start, form: str) -> None:
    function = start(form)
    with held(function):
        health = function.request("/_cloudbase/health", router=False)
    assert (health.status, health.json()) == (200, {"status": "ok"})
    assert "called /_cloudbase" not in function.log
    assert function.request("/_cloudbase/health").body != health.body
    eventually(lambda: _in_log(function, "called /_cloudbase/health"))


def test_health_is_answered_while_a_plain_python_handler_computes(start: Start) -> None:
    function = start("python-handler", env={"CLOUDBASE_CONCURRENCY": "1"})
    with held(function):
        assert function.request("/_cloudbase/health", router=False).status == 200


@EVERY_FORM
def test_the_process_ends_when_its_starter_is_gone(start: Start, form: str) -> None:
    function = start(form)
    with ask(function, "GET /slow?ms=60000 HTTP/1.1\nHost: x\nX-Forwarded-For: a"):
        function.orphan()
        assert function.exit_code() == 0


@EVERY_FORM
def test_idle_connections_are_kept_longer_than_the_router_keeps_them_and_say_so(start: Start, form: str) -> None:
    answer = start(form).request("/", headers={"Connection": "keep-alive"})
    assert answer.headers["keep-alive"] == "timeout=75"


@EVERY_FORM
def test_pieces_of_a_stream_leave_when_they_are_written(start: Start, form: str) -> None:
    function = start(form)
    with ask(function, "GET /ticks HTTP/1.1\nHost: x\nX-Forwarded-For: a\nConnection: close") as connection:
        seen: dict[bytes, float] = {}
        received = b""
        while piece := connection.recv(65536):
            received += piece
            for tick in (b"tick 0", b"tick 1", b"tick 2"):
                if tick in received:
                    seen.setdefault(tick, time.monotonic())
    # Sent 0.3 s apart; collected, they would come together.
    assert seen[b"tick 0"] < seen[b"tick 1"] < seen[b"tick 2"] and seen[b"tick 2"] - seen[b"tick 0"] > 0.3


@EVERY_FORM
def test_chunked_and_sized_bodies_arrive_whole(start: Start, form: str) -> None:
    function = start(form)
    assert function.request("/size", "POST", iter([b"a" * 70_000] * 10)).body == b"700000"
    assert function.request("/size", "POST", b"b" * 300_000).body == b"300000"
    assert function.request("/size", "POST", b"").body == b"0"


@pytest.mark.parametrize("form", STREAMING_IN)
def test_bodies_of_any_size_stream_both_ways_with_flat_memory(start: Start, form: str) -> None:
    function = start(form)
    function.request("/size", "POST", _pieces(16))
    function.request("/big?mib=16")
    before = function.resident()
    assert function.request("/size", "POST", _pieces(256)).body == str(256 * MIB).encode()
    with ask(function, "GET /big?mib=256 HTTP/1.1\nHost: x\nX-Forwarded-For: a\nConnection: close") as connection:
        size = 0
        while piece := connection.recv(1 << 18):
            size += len(piece)
    assert size > 256 * MIB
    assert function.resident() - before < 40 * MIB


def _pieces(mib: int) -> Iterator[bytes]:
    piece = b"x" * 65536
    for _ in range(mib * 16):
        yield piece


@pytest.mark.parametrize("form", ["node-handler", "python-handler", "python-async"])
def test_a_form_that_collects_its_body_refuses_one_over_the_limit_with_413(start: Start, form: str) -> None:
    function = start(form, env={"CLOUDBASE_BODY_LIMIT": "1000"})
    assert function.request("/size", "POST", b"x" * 1000).body == b"1000"
    assert function.request("/size", "POST", b"x" * 1001).status == 413
    assert function.request("/size", "POST", iter([b"x" * 600] * 2)).status == 413


@EVERY_FORM
def test_many_requests_go_over_one_connection_also_sent_ahead(start: Start, form: str) -> None:
    function = start(form)
    one = "GET /{} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: a\r\n\r\n"
    with function.connect() as connection:
        connection.sendall("".join(one.format(number) for number in range(5)).encode())
        received = b""
        while received.count(b"HTTP/1.1 200") < 5:
            received += connection.recv(65536)
        eventually(lambda: _in_log(function, "called /4"))
    assert [received.find(b"GET /%d" % number) for number in range(5)] == sorted(received.find(b"GET /%d" % n) for n in range(5))


@OURS
def test_head_has_no_body_and_leaves_the_connection_usable(start: Start, form: str) -> None:
    function = start(form)
    with ask(function, "HEAD / HTTP/1.1\nHost: x\nX-Forwarded-For: a") as connection:
        head = connection.recv(65536)
        connection.sendall(b"GET /next HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: a\r\nConnection: close\r\n\r\n")
        rest = everything(connection)
    assert head.endswith(b"\r\n\r\n")
    assert rest.startswith(b"HTTP/1.1 200")
    assert b"GET /next" in rest


@EVERY_FORM
def test_a_caller_that_waits_for_100_continue_gets_it(start: Start, form: str) -> None:
    function = start(form)
    head = "POST /size HTTP/1.1\nHost: x\nX-Forwarded-For: a\nContent-Length: 3\nExpect: 100-continue\nConnection: close"
    with ask(function, head) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")
        assert b" 200 OK" in everything(connection)


@EVERY_FORM
def test_output_becomes_json_lines_with_the_request_id(start: Start, form: str) -> None:
    function = start(form, env={"CLOUDBASE_LOG_FORMAT": "json"})
    function.request("/x", headers={"X-Request-Id": "id-1"})
    function.request("/y", headers={"X-Request-Id": "id-2"})
    eventually(lambda: _in_log(function, "called /x", "called /y"))
    records = [json.loads(line) for line in function.stdout.splitlines()]
    wanted = {record["message"]: record["requestId"] for record in records if "called" in record["message"]}
    assert wanted == {"called /x": "id-1", "called /y": "id-2"}
    assert {record["function"] for record in records} == {"tested"}
    assert {record["level"] for record in records} == {"info"}


@OURS
def test_the_stack_of_what_was_thrown_is_one_json_line(start: Start, form: str) -> None:
    function = start(form, env={"CLOUDBASE_LOG_FORMAT": "json"})
    function.request("/throw", headers={"X-Request-Id": "id-1"})
    eventually(lambda: _in_log(function, "secret"))
    record = next(json.loads(line) for line in function.stderr.splitlines() if "secret" in line)
    assert (record["level"], record["requestId"]) == ("error", "id-1")
    assert "\n" in record["message"]


@pytest.mark.parametrize("form", ["node-listener", "python-handler"])
@pytest.mark.parametrize("over", ["unix", "tcp"])
def test_a_handler_says_where_it_listens(start: Start, form: str, over: str) -> None:
    function = start(form, over=over)
    expected = f"unix:{function.socket}" if over == "unix" else f"127.0.0.1:{function.port}"
    assert function.ready == {"listening": expected}
