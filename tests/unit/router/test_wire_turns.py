"""What is written in one turn of the poller goes out at its end: what may happen to a connection in between."""

from __future__ import annotations

import pytest

from router.wire.watched import READ
from tests.fuzz.functions import FINE, Scripted
from tests.fuzz.memory import Memory, Socket

GET = b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /fn/f/x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
GONE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


def warm(memory: Memory, clients: int = 1) -> tuple[list[Socket], list[Socket]]:
    """Clients that were answered once, and the idle connections to the function."""
    found = [memory.connect() for _ in range(clients)]
    for client in found:
        client.inbox.append(GET)
    memory.run()
    memory.pool.opened.clear()
    idle = [connection.sock for connection in memory.pool.open_now]
    for sock in idle:
        sock.inbox.append(FINE)  # type: ignore[attr-defined]
    memory.run()
    for client in found:
        assert bytes(client.outbox) == FINE
        client.outbox.clear()
    for sock in idle:
        sock.outbox.clear()  # type: ignore[attr-defined]
    return found, idle  # type: ignore[return-value]


def turn(memory: Memory, *events: tuple[Socket, int]) -> None:
    """Serve these events one behind the other, and only then what they wrote."""
    for sock, event in events:
        memory.poller.watched[sock.fileno()][0].on_event(event)


def test_a_request_is_not_sent_before_its_turn_is_over_and_then_at_once() -> None:
    memory = Memory()
    (client,), (idle,) = warm(memory)
    client.inbox.append(GET)
    turn(memory, (client, READ))
    assert not idle.outbox
    memory.poller.serve()
    assert idle.outbox.startswith(b"GET /x HTTP/1.1\r\n")
    idle.inbox.append(FINE)
    memory.run()
    assert bytes(client.outbox) == FINE
    memory.close()


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("fate", ["unasked", "fin", "reset"])
def test_a_connection_that_ends_or_speaks_before_the_request_went_out_gets_nothing_of_it(fate: str, request_bytes: bytes) -> None:
    memory = Memory()
    (client,), (stale,) = warm(memory)
    client.inbox.append(request_bytes)
    if fate == "unasked":
        stale.inbox.append(GONE)
    stale.fin, stale.reset = fate == "fin", fate == "reset"
    turn(memory, (client, READ), (stale, READ))
    assert stale.closed and not stale.outbox
    function = Scripted(memory, [FINE])
    memory.run(function)
    assert bytes(client.outbox) == FINE
    assert len(function.sockets) == 1 and function.sockets[0] is not stale
    memory.close()


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
def test_a_connection_that_takes_no_byte_at_the_end_of_the_turn_costs_no_request(request_bytes: bytes) -> None:
    memory = Memory()
    (client,), (stale,) = warm(memory)
    client.inbox.append(request_bytes)
    turn(memory, (client, READ))
    stale.reset = True
    memory.poller.send()
    assert stale.closed and not stale.outbox
    memory.run(Scripted(memory, [FINE]))
    assert bytes(client.outbox) == FINE
    memory.close()


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
def test_a_new_connection_that_takes_no_byte_makes_its_endpoint_a_suspect(request_bytes: bytes) -> None:
    memory = Memory()
    client = memory.connect()
    client.inbox.append(request_bytes)
    turn(memory, (client, READ))
    fresh = memory.pool.opened.popleft()
    fresh.reset = True
    memory.poller.send()
    assert fresh.closed and not fresh.outbox
    assert not memory.pool.opened  # else an endpoint that takes connections and resets them would be hit without end
    assert memory.board.backing_off
    memory.pass_time(0.5, Scripted(memory, [FINE]))
    assert bytes(client.outbox) == FINE
    memory.close()


def test_of_a_client_that_went_before_the_turn_was_over_nothing_is_sent() -> None:
    memory = Memory()
    (client,), (idle,) = warm(memory)
    client.inbox.append(GET)
    turn(memory, (client, READ))
    client.reset = True
    turn(memory, (client, READ))
    memory.run()
    assert client.closed and idle.closed and not idle.outbox
    assert memory.present() == (0, 0)
    memory.close()


@pytest.mark.parametrize("room", [0, 1, 40])
def test_what_is_not_taken_at_once_goes_out_in_its_time(room: int) -> None:
    memory = Memory()
    (client,), (idle,) = warm(memory)
    idle.room = client.room = room
    client.inbox.append(GET)
    memory.run()
    assert len(idle.outbox) == room
    idle.room = Socket.room
    memory.run()
    assert idle.outbox.endswith(b"\r\n\r\n") and idle.outbox.count(b"GET ") == 1
    idle.inbox.append(FINE)
    memory.run()
    assert bytes(client.outbox) == FINE[:room]
    client.room = Socket.room
    memory.run()
    assert bytes(client.outbox) == FINE
    client.inbox.append(GET)
    memory.run()
    idle.inbox.append(FINE)
    memory.run()
    assert bytes(client.outbox) == FINE * 2
    memory.close()


def answered(memory: Memory) -> tuple[Socket, Socket]:
    """A client whose answer came in this turn and did not go out yet, and the connection that it came from."""
    (client,), (idle,) = warm(memory)
    client.inbox.append(GET)
    memory.poller.serve()
    idle.inbox.append(FINE)
    turn(memory, (idle, READ))
    assert not client.outbox
    return client, idle


def test_a_fin_behind_an_answer_that_did_not_go_out_yet_does_not_cost_it() -> None:
    memory = Memory()
    client, _ = answered(memory)
    client.fin = True
    turn(memory, (client, READ))
    memory.run()
    assert bytes(client.outbox) == FINE
    assert client.closed
    memory.close()


def test_what_was_asked_before_a_fin_is_answered_although_it_is_seen_while_an_answer_is_still_being_taken() -> None:
    memory = Memory()
    client = memory.connect(room=10)
    client.inbox.append(GET * 3)
    memory.run()
    function = memory.pool.opened[0]
    function.outbox.clear()
    function.inbox.append(FINE)
    client.fin = True
    turn(memory, (function, READ), (client, READ))
    others = Scripted(memory, [FINE])
    got = b""
    while client.outbox:
        got += bytes(client.outbox)
        client.outbox.clear()
        memory.run(others)
    assert got == FINE * 3
    assert client.closed
    memory.close()


def test_a_fin_that_cancels_leaves_nothing_to_be_sent_of_what_it_cancelled() -> None:
    memory = Memory()
    memory.put("f:1", client_abort="fin")
    client = memory.connect(room=10)
    client.inbox.append(GET * 2)
    memory.run()
    function = memory.pool.opened[0]
    function.inbox.append(FINE[:-1])
    client.fin = True
    turn(memory, (function, READ), (client, READ))
    assert client.closed and function.closed
    memory.close()


def test_an_error_behind_an_answer_that_did_not_go_out_yet_stays_behind_it() -> None:
    memory = Memory()
    client, idle = answered(memory)
    client.inbox.append(b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
    turn(memory, (client, READ))
    memory.run()
    assert client.outbox.startswith(FINE + b"HTTP/1.1 404 ")
    client.outbox.clear()
    client.inbox.append(GET)
    memory.run()
    idle.inbox.append(FINE)
    memory.run()
    assert bytes(client.outbox) == FINE
    memory.close()


def test_one_that_is_closed_in_the_middle_of_sending_takes_nobody_else_with_it() -> None:
    memory = Memory()
    clients, _ = warm(memory, 3)
    for client in clients:
        client.inbox.append(GET)
    turn(memory, *((client, READ) for client in clients))
    used = [connection.sock for connection in memory.pool.outbox]
    used[1].reset = True  # type: ignore[attr-defined]
    memory.poller.send()
    for sock in (used[0], used[2]):
        sock.inbox.append(FINE)  # type: ignore[attr-defined]
    memory.run(Scripted(memory, [FINE]))
    assert [bytes(client.outbox) for client in clients] == [FINE] * 3
    memory.close()


def test_whoever_gets_the_place_of_one_that_could_not_be_answered_is_sent_in_the_same_turn() -> None:
    memory = Memory()
    (gone, waiting), _ = warm(memory, 2)
    memory.put("f:1", concurrency=1)
    gone.inbox.append(GET)
    memory.poller.serve()
    busy = next(connection for connection in memory.pool.open_now if connection.exchange is not None)
    busy.sock.inbox.append(FINE)  # type: ignore[union-attr]
    gone.inbox.append(GET)
    waiting.inbox.append(GET)
    turn(memory, (busy.sock, READ), (gone, READ), (waiting, READ))  # type: ignore[arg-type]
    assert memory.present() == (1, 1)
    gone.reset = True
    memory.poller.send()
    assert gone.closed and memory.present() == (1, 0)
    (served,) = [connection.sock for connection in memory.pool.open_now if connection.exchange is not None]
    assert served.outbox.endswith(b"\r\n\r\n")  # type: ignore[attr-defined]
    served.inbox.append(FINE)  # type: ignore[attr-defined]
    memory.run()
    assert bytes(waiting.outbox) == FINE
    memory.close()
