"""Faults that real sockets show only by luck, over sockets in memory: what the kernel took decides what is sent again."""

from __future__ import annotations

import errno

import pytest

from router.http1.sender import Limits
from router.meters import BUCKETS, COLD, read_functions
from router.model import Backend, Endpoint, Route
from router.wire.listener import Times
from tests.fuzz.functions import FINE, Recorder, Scripted
from tests.fuzz.memory import KEY, Memory, Socket

GET = b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /fn/f/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
UPGRADE = b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def warm(memory: Memory) -> tuple[Socket, Socket]:
    """A client that was answered once, and the idle connection to the function."""
    client = memory.connect()
    memory.feed(client, [GET], Scripted(memory, [FINE]))
    (connection,) = memory.pool.open_now
    client.outbox.clear()
    return client, connection.sock  # type: ignore[return-value]


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
def test_an_idle_connection_that_takes_no_byte_costs_no_request_of_any_method(request_bytes: bytes) -> None:
    memory = Memory()
    client, stale = warm(memory)
    client.inbox.append(request_bytes)
    stale.reset = True  # in the same batch, behind the request
    memory.run(Scripted(memory, [FINE]))
    assert stale.closed and not stale.outbox
    assert bytes(client.outbox) == FINE
    memory.close()


@pytest.mark.parametrize(("request_bytes", "status"), [(GET, b"200"), (POST, b"502")], ids=["GET", "POST"])
@pytest.mark.parametrize("taken", [1, 30, 10_000])
def test_once_a_byte_was_taken_only_what_is_idempotent_is_sent_again(request_bytes: bytes, status: bytes, taken: int) -> None:
    memory = Memory()
    client, connection = warm(memory)
    connection.room = taken
    client.inbox.append(request_bytes)
    memory.run()
    assert 0 < len(connection.outbox) <= taken
    connection.reset = True
    function = Scripted(memory, [FINE])
    memory.run(function)
    assert client.outbox.split(b" ")[1] == status
    assert len(function.sockets) == (status == b"200")
    memory.close()


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"], ids=["a length", "until the connection ends"])
def test_a_client_that_never_takes_its_last_answer_is_reset_after_the_flush_timeout(version: bytes) -> None:
    memory = Memory(times=Times(flush=10.0))
    client = memory.connect(room=1000)
    framing = b"Content-Length: 50000" if version == b"HTTP/1.1" else b"Transfer-Encoding: chunked"
    body = b"x" * 50_000 if version == b"HTTP/1.1" else b"c350\r\n" + b"x" * 50_000 + b"\r\n0\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + body
    question = GET.replace(b"HTTP/1.1", version).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    memory.feed(client, [question], Scripted(memory, [answer]))
    memory.pass_time(9.0)
    assert not client.closed
    memory.pass_time(2.0)
    assert client.closed
    assert client.was_reset, "what it has could pass for the whole answer"
    memory.close()


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept", "its last answer"])
def test_a_client_that_takes_its_answer_slowly_gets_all_of_it(last: bytes) -> None:
    memory = Memory(times=Times(idle=10.0, flush=10.0))
    client = memory.connect(room=1000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50_000
    memory.feed(client, [GET[:-2] + last + b"\r\n"], Scripted(memory, [answer]))
    taken = b""
    while not taken.endswith(b"x" * 50_000):
        assert client.outbox, f"cut off after {len(taken)} bytes"
        taken += bytes(client.outbox)
        client.outbox.clear()
        memory.pass_time(9.0, step=3.0)
    memory.pass_time(11.0)
    assert client.closed
    memory.close()


def test_requests_that_are_pipelined_without_end_are_read_no_further_than_the_bound() -> None:
    memory = Memory()
    client = memory.connect()
    client.inbox.extend([GET * 100] * 100)
    memory.run()  # the function says nothing to the first one
    assert memory.retained() < memory.limits.head + 2 * len(GET * 100)
    assert client.inbox
    memory.close()


@pytest.mark.parametrize("path", [b"/fn/f/x", b"/fn/nobody"], ids=["answered by a function", "answered here"])
@pytest.mark.parametrize("together", [1, 20])
def test_a_client_that_reads_no_answer_is_not_read_either_until_it_does(path: bytes, together: int) -> None:
    memory = Memory(Limits(head=1000))
    client = memory.connect(room=1000)
    asked = GET.replace(b"/fn/f/x", path)
    client.inbox.extend([asked * together] * (400 // together))
    function = Scripted(memory, [FINE])
    memory.run(function)
    assert len(client.inbox) * together > 300 and memory.retained() < 5 * len(asked * 20)
    answers = b""
    while client.inbox or client.outbox:
        answers += bytes(client.outbox)
        client.outbox.clear()
        memory.run(function)
    assert answers.count(b"HTTP/1.1 ") == 400
    memory.close()


def test_requests_that_are_pipelined_without_end_are_read_no_faster_than_they_are_answered() -> None:
    memory = Memory(Limits(head=1000))
    client = memory.connect()
    posts = b"POST /fn/f/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + POST + GET
    stream = posts * 80
    client.inbox.extend(stream[at : at + 700] for at in range(0, len(stream), 700))
    function = Scripted(memory, [FINE])
    most = 0

    def answer() -> bool:
        nonlocal most
        most = max(most, memory.retained())
        return function()

    memory.run(answer)
    assert client.outbox.count(b"HTTP/1.1 200") == 240 and not client.closed
    assert most < 4000
    memory.close()


def test_an_empty_line_behind_a_request_is_not_the_beginning_of_another() -> None:
    memory = Memory(times=Times(head=5.0, idle=20.0))
    client, _ = warm(memory)
    memory.feed(client, [b"\r\n"])
    memory.pass_time(10.0)
    assert not client.closed and not client.outbox
    memory.feed(client, [GET[:10]])
    memory.pass_time(6.0)
    assert client.outbox.startswith(b"HTTP/1.1 408 ")
    memory.close()


def test_a_body_that_waits_is_read_no_further_than_the_bound() -> None:
    memory = Memory()
    memory.put()
    client = memory.connect()
    client.inbox.append(b"POST /fn/f/x HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n")
    client.inbox.extend([b"x" * 8192] * 100)
    memory.run()
    assert 65536 <= memory.retained() < 65536 + 3 * 8192
    assert memory.present() == (0, 1)
    memory.close()


@pytest.mark.parametrize("whole", [False, True], ids=["half a request", "a request"])
def test_a_client_that_hangs_up_behind_what_is_not_read_leaves_the_queue_within_a_quarter_second(whole: bool) -> None:
    memory = Memory()
    memory.put()
    client = memory.connect()
    client.inbox.append(b"POST /fn/f/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n" + b"abc" * whole)
    memory.run()
    assert memory.present() == (0, 1)
    client.fin = True
    memory.pass_time(0.25)
    assert memory.present() == (0, 0) and client.closed
    memory.close()


def test_an_idle_connection_is_closed_in_its_time_and_nothing_is_remembered_of_an_endpoint_without_any() -> None:
    memory = Memory()
    client = memory.connect()
    memory.feed(client, [GET], Recorder(memory))
    (connection,) = memory.pool.open_now
    (upstream,) = memory.pool.responses
    assert upstream.idle == [connection]
    memory.pass_time(51)
    assert not memory.pool.open_now and not upstream.idle
    assert not memory.pool.responses
    memory.close()


@pytest.mark.parametrize(
    ("promise", "later", "reused"),
    [
        (b"timeout=5", 3.9, True),
        (b"timeout=5, max=9", 4.0, False),
        (b"max=9, timeout=5", 4.0, False),
        (b"timeout=1", 0.0, False),
        (b"timeout=0", 0.0, False),
    ],
)
def test_no_connection_is_used_in_the_last_second_that_the_function_promised(promise: bytes, later: float, reused: bool) -> None:
    memory = Memory()
    client = memory.connect()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nKeep-Alive: " + promise + b"\r\n\r\nok"
    function = Scripted(memory, [answer])
    memory.feed(client, [GET], function)
    memory.poller.now += later
    memory.feed(client, [POST], function)
    assert function.requests == ([0, 0] if reused else [0, 1])
    memory.close()


def tunnel(memory: Memory) -> tuple[Socket, Socket]:
    """Both ends of a tunnel."""
    client = memory.connect()
    memory.feed(client, [UPGRADE])
    function = memory.pool.opened.popleft()
    function.inbox.append(SWITCHED)
    memory.run()
    assert client.outbox.startswith(b"HTTP/1.1 101 ")
    return client, function


@pytest.mark.parametrize("paused", [False, True], ids=["read", "not read yet"])
@pytest.mark.parametrize("taken", [False, True], ids=["never taken", "taken"])
def test_what_a_client_said_before_its_end_reaches_a_function_that_has_ended_already(paused: bool, taken: bool) -> None:
    memory = Memory()
    memory.put("f:1", idle_timeout=10.0)
    client, function = tunnel(memory)
    function.fin = True
    memory.run()
    assert client.ended and memory.present() == (1, 0)
    function.room = len(function.outbox) + 5
    client.inbox.extend([b"x" * 100, *([b"y" * 100] * paused)])
    memory.run()
    client.fin = True
    memory.run()
    assert memory.present() == (1, 0) and not function.ended
    if not taken:
        memory.pass_time(11.0)
        assert client.closed and function.closed
    function.room = Socket.room
    memory.run()
    assert function.outbox.endswith(b"x" * 100 + b"y" * 100 * paused) == taken == function.ended
    assert client.closed and function.closed and not client.was_reset
    memory.close()


def test_a_cold_start_for_a_tunnel_is_told_and_counted_like_any_other() -> None:
    memory = Memory()
    memory.put()
    client = memory.connect()
    memory.feed(client, [UPGRADE])
    memory.put("f:1")
    memory.pool.opened.popleft().inbox.append(SWITCHED)
    memory.run()
    assert client.outbox.startswith(b"HTTP/1.1 101 ") and b"\r\nServer-Timing: wake;dur=" in client.outbox
    [cells] = read_functions(memory.book).values()
    assert sum(cells[COLD : COLD + BUCKETS]) == 1
    memory.close()


def test_a_tunnel_in_which_nothing_moves_is_closed_after_the_idle_timeout() -> None:
    memory = Memory()
    memory.put("f:1", idle_timeout=10.0)
    client, function = tunnel(memory)
    for _ in range(3):
        memory.pass_time(9.0)
        function.inbox.append(b"x")  # either direction counts
        memory.run()
        memory.pass_time(9.0)
        memory.feed(client, [b"y"])
    assert client.outbox.endswith(b"xxx") and function.outbox.endswith(b"yyy")
    memory.pass_time(11.0)
    assert client.closed and function.closed
    memory.close()


def test_an_exchange_that_lasts_too_long_is_cut_although_it_moves() -> None:
    memory = Memory()
    memory.put("f:1", max_duration=20.0)
    client, function = tunnel(memory)
    for _ in range(4):
        memory.pass_time(4.75)
        memory.feed(client, [b"y"])
    assert not client.closed
    memory.pass_time(2.0)
    assert client.closed and function.closed
    memory.close()


def test_a_connection_that_repeats_its_head_is_routed_anew_each_time() -> None:
    memory = Memory()
    client, function = memory.connect(), Recorder(memory)
    backends = (Backend("r1", (Endpoint("f:1"),)),)
    for hosts in ((), ("h",), (), ("h",)):
        memory.board.put(Route(KEY, backends, hosts=hosts))
        memory.feed(client, [GET], function)
    assert [message.target for message in function.messages] == [b"/x", b"/fn/f/x", b"/x", b"/fn/f/x"]
    memory.close()


def test_a_body_that_the_function_does_not_take_is_not_blamed_on_its_client() -> None:
    memory = Memory(patience={"body_idle": 10.0})
    memory.put("f:1", timeout=100.0)
    memory.pool.room = 200
    client = memory.connect()
    memory.feed(client, [b"POST /fn/f/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500])
    memory.pass_time(50.0)
    assert not client.outbox
    memory.pool.opened.popleft().room = Socket.room
    memory.run()
    memory.pass_time(9.0)
    assert not client.outbox
    memory.pass_time(2.0)
    assert client.outbox.startswith(b"HTTP/1.1 408 "), "now it was the client's turn"
    memory.close()


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
def test_a_connection_that_breaks_before_it_took_a_byte_is_closed_and_the_request_goes_elsewhere_once(
    request_bytes: bytes,
) -> None:
    memory = Memory()
    memory.pool.connecting = True
    memory.put("f:1", "f:2")
    client = memory.connect()
    memory.feed(client, [request_bytes])
    broken = memory.pool.opened.popleft()
    broken.connecting, broken.reset = False, True
    memory.pool.connecting = False
    memory.run()
    assert broken.closed
    memory.run(Scripted(memory, [FINE]))
    assert bytes(client.outbox) == FINE
    memory.close()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS], ids=errno.errorcode.get)
def test_a_router_without_room_for_another_connection_blames_no_function_and_uses_the_ones_that_it_has(error: int) -> None:
    memory = Memory()
    first, connection = warm(memory)
    second = memory.connect()
    memory.pool.refusing = error
    first.inbox.append(GET)
    second.inbox.append(POST)
    memory.run()
    connection.inbox.append(FINE)
    memory.run()
    assert bytes(first.outbox) == FINE and memory.present() == (1, 0)
    memory.pass_time(0.25)
    connection.inbox.append(FINE)
    memory.run()
    assert bytes(second.outbox) == FINE
    memory.close()


@pytest.mark.parametrize("again", [GET, POST], ids=["GET", "POST"])
def test_what_an_earlier_read_left_in_the_buffer_is_no_part_of_a_request(again: bytes) -> None:
    memory = Memory()
    function = Recorder(memory)
    whole, parted = memory.connect(), memory.connect()
    memory.feed(parted, [again], function)
    for at in range(1, len(again)):
        asked = len(function.messages)
        whole.inbox.append(again)  # read just before, in the same batch
        memory.feed(parted, [again[:at]], function)
        assert len(function.messages) == asked + 1
        memory.feed(parted, [again[at:]], function)
        assert len(function.messages) == asked + 2
    _, _, body = again.partition(b"\r\n\r\n")
    assert {(one.method, one.target, one.body) for one in function.messages} == {(again.split(b" ")[0], b"/x", body)}
    memory.close()


def test_what_an_earlier_read_left_in_the_buffer_is_no_part_of_an_answer() -> None:
    memory = Memory()
    client, connection = warm(memory)
    for at in range(1, len(FINE)):
        client.inbox.append(GET)
        memory.run()
        connection.inbox.append(FINE[:at])
        memory.run()
        assert bytes(client.outbox) in (b"", FINE[:at])
        connection.inbox.append(FINE[at:])
        memory.run()
        assert bytes(client.outbox) == FINE
        client.outbox.clear()
    memory.close()
