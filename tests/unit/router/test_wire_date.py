"""The Date field: as RFC 9110 5.6.7 writes it, once in a second, and in answers of functions that have none."""

from __future__ import annotations

import re

import pytest

from router.wire.date import DateLine
from tests.fuzz.functions import FINE, Scripted
from tests.fuzz.memory import Memory, Socket

GET = b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"
BARE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_date_is_written_once_in_a_second() -> None:
    now = [784111777.0]
    date = DateLine(lambda: now[0])
    first = date.now()
    assert first == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    now[0] += 0.999
    assert date.now() is first
    now[0] += 0.001
    assert date.now() == b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"


def test_a_day_and_an_hour_of_one_digit_have_two() -> None:
    assert DateLine(lambda: 1709251445.9).now() == b"Date: Fri, 01 Mar 2024 00:04:05 GMT\r\n"


def asked(memory: Memory, client: Socket, answer: bytes) -> bytes:
    """What the client gets when the function answers so, on the one connection that there is."""
    client.outbox.clear()
    memory.feed(client, [GET])
    (connection,) = memory.pool.open_now
    connection.sock.inbox.append(answer)  # type: ignore[union-attr]
    memory.run()
    return bytes(client.outbox)


def second(answer: bytes) -> int:
    """Of the only Date of an answer, the second."""
    (found,) = re.findall(rb"\nDate: Sun, 06 Nov 1994 08:49:(\d\d) GMT\r\n", answer)
    return int(found)


def test_an_answer_without_date_gets_the_one_of_its_second() -> None:
    memory = Memory()
    client = memory.connect()
    assert second(asked(memory, client, BARE)) == second(asked(memory, client, BARE)) == 37
    memory.pass_time(2.0)
    for _ in range(2):
        assert second(asked(memory, client, BARE)) == 39
    memory.close()


def test_a_date_moves_on_while_a_connection_is_never_idle() -> None:
    memory = Memory()
    client = memory.connect()
    asked(memory, client, BARE)
    for passed in range(1, 4):
        client.outbox.clear()
        memory.feed(client, [GET])
        memory.pass_time(1.0)
        (connection,) = memory.pool.open_now
        connection.sock.inbox.append(BARE)  # type: ignore[union-attr]
        memory.run()
        assert second(bytes(client.outbox)) == 37 + passed
    memory.close()


def test_a_date_of_the_function_s_own_is_left_alone() -> None:
    memory = Memory()
    client = memory.connect()
    for line in (b"Date: Sun, 06 Nov 1994 08:49:00 GMT", b"dATE: yesterday", b"Date:"):
        answer = BARE.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n")
        memory.pass_time(1.0)
        assert asked(memory, client, answer) == answer
    memory.close()


@pytest.mark.parametrize(
    ("answer", "head"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 204 No Content\r\n"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n"),
        (
            b"HTTP/1.1 500 X\r\nConnection: Date\r\nDate: x\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n",
        ),
        (b"HTTP/1.1 200 OK\r\nX-Date: x\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Date: x\r\nContent-Length: 0\r\n"),
    ],
)
def test_every_kind_of_final_answer_gets_one(answer: bytes, head: bytes) -> None:
    memory = Memory()
    assert asked(memory, memory.connect(), answer) == head + b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    memory.close()


@pytest.mark.parametrize("size", [0, 2, 5_000, 60_000])
def test_a_body_of_any_size_stays_whole_behind_a_date(size: int) -> None:
    memory = Memory()
    client = memory.connect(room=1 << 20)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    for _ in range(3):
        got = asked(memory, client, answer)
        assert second(got[:200]) == 37 and got.endswith(b" GMT\r\n\r\n" + b"x" * size)
    memory.close()


def test_interim_answers_have_none() -> None:
    memory = Memory()
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    client = memory.connect()
    memory.feed(client, [GET], Scripted(memory, [hint, FINE]))
    assert bytes(client.outbox) == hint + FINE
    memory.close()
