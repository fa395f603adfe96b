"""Whose connection is closed when all places are taken: whoever has waited longest for the next request."""

from __future__ import annotations

import pytest

from tests.fuzz.functions import FINE, Scripted
from tests.fuzz.memory import Memory, Socket

GET = b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"


def served(memory: Memory, client: Socket) -> None:
    """One request, and its answer."""
    client.inbox.append(GET)
    for sock in [one.sock for one in memory.pool.open_now if not one.upstream.idle]:
        sock.outbox.clear()  # type: ignore[attr-defined]
    memory.poller.serve()
    (asked,) = [one for one in memory.pool.open_now if one.exchange is not None]
    asked.sock.inbox.append(FINE)  # type: ignore[attr-defined]
    memory.run()
    assert client.outbox.endswith(FINE)


def idle(memory: Memory, *seconds: float) -> list[Socket]:
    """Clients that have been idle for so long; the first for longest."""
    found = []
    for one, next_one in zip(seconds, (*seconds[1:], 0.0), strict=True):
        found.append(memory.connect())
        served(memory, found[-1])
        memory.pass_time(one - next_one)
    return found


def closed(*sockets: Socket) -> list[bool]:
    return [sock.closed for sock in sockets]


def test_whoever_has_been_idle_for_longest_goes_first() -> None:
    memory = Memory()
    one, two, three = idle(memory, 9.0, 8.0, 7.0)
    served(memory, one)  # now it is the youngest
    assert memory.clients.places.clear_one() and closed(one, two, three) == [False, True, False]
    assert memory.clients.places.clear_one() and closed(one, two, three) == [False, True, True]
    assert not memory.clients.places.clear_one()
    memory.close()


def test_whoever_asked_since_all_were_looked_at_stays() -> None:
    memory = Memory()
    one, two, three = idle(memory, 9.0, 8.0, 7.0)
    assert memory.clients.places.clear_one() and one.closed
    memory.poller.now += 0.01
    served(memory, two)
    assert memory.clients.places.clear_one() and closed(two, three) == [False, True]
    memory.close()


def test_whoever_never_asked_anything_is_idle_since_it_connected() -> None:
    memory = Memory()
    silent = memory.connect()
    memory.pass_time(3.0)
    (asked,) = idle(memory, 2.0)
    assert memory.clients.places.clear_one() and closed(silent, asked) == [True, False]
    memory.close()


@pytest.mark.parametrize("bytes_sent", [GET[:20], GET, GET[:-2] + b"Content-Length: 5\r\n\r\nab"], ids=["head", "waits", "body"])
def test_nobody_is_closed_inside_a_request(bytes_sent: bytes) -> None:
    memory = Memory()
    client = memory.connect()
    memory.feed(client, [bytes_sent])
    memory.pass_time(5.0)
    assert not memory.clients.places.clear_one() and not client.closed
    memory.close()


def test_nobody_is_closed_who_has_yet_to_take_its_answer() -> None:
    memory = Memory()
    client = memory.connect(room=10)
    memory.feed(client, [GET], Scripted(memory, [FINE]))
    memory.pass_time(5.0)
    assert not memory.clients.places.clear_one() and not client.closed
    memory.close()


def test_a_second_after_its_answer_a_client_may_still_send_its_next_request() -> None:
    memory = Memory()
    (client,) = idle(memory, 0.5)
    assert not memory.clients.places.clear_one()
    memory.pass_time(0.75)
    assert memory.clients.places.clear_one() and client.closed
    memory.close()


def test_all_are_looked_at_once_between_two_sweeps_however_many_come(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    clients = idle(memory, *(5.0 for _ in range(20)))
    places = memory.clients.places
    looks, look = [], places._look
    monkeypatch.setattr(places, "_look", lambda: looks.append(look()))
    assert [places.clear_one() for _ in range(25)] == [True] * 20 + [False] * 5
    assert len(looks) == 1 and all(closed(*clients))
    memory.pass_time(0.25)
    assert not places.clear_one() and len(looks) == 2
    memory.close()


def test_the_same_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    memory.clients.places.most = 1
    for _ in range(3):
        memory.clients.places.clear_one()
        memory.pass_time(1.0)
    assert caplog.text.count("(client_connections: 1)") == 1
    memory.pass_time(60.0)
    memory.clients.places.clear_one()
    assert caplog.text.count("none of them is idle") == 2
    memory.close()
