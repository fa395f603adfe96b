"""What a connection keeps while nobody asks anything of it: little, whatever its last request and answer were."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from tests.fuzz.functions import FINE
from tests.fuzz.memory import Memory, Socket

CLIENTS = 6
GET = b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"
FIELDS = b"".join(b"X-%d: %b\r\n" % (n, b"v" * 4000) for n in range(10))
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + FIELDS + b"\r\nok"
LEFT = 3000  # bytes of each exchange that may stay, of 40,000 and more that came in


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Bytes that Python has in use."""

    def used() -> int:
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    yield used
    tracemalloc.stop()


class Answers:
    """A function in memory that gives all this answer, with a number of its own in front of the fields."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.answer = FINE
        self.sockets: list[Socket] = []
        self.given = 0

    def __call__(self) -> bool:
        self.sockets += self.memory.pool.opened
        self.memory.pool.opened.clear()
        asked = [sock for sock in self.sockets if sock.outbox]
        for sock in asked:
            self.given += 1
            sock.outbox = bytearray()
            sock.inbox.append(self.answer.replace(b"\r\n", b"\r\nX-Number: %d\r\n" % self.given, 1))
        return bool(asked)


def ask(function: Answers, clients: list[Socket], request: bytes = GET, answer: bytes = FINE) -> None:
    """All clients at once, so that each needs a connection to the function of its own."""
    function.answer = answer
    for client in clients:
        client.inbox.append(request)
    function.memory.run(function)
    for client in clients:
        assert client.outbox.endswith(b"\r\n\r\nok")
        client.outbox = bytearray()


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (GET[:-2] + FIELDS + b"\r\n", FINE),
        (GET[:-2] + b"Connection: x-1\r\n" + FIELDS + b"\r\n", FINE),
        (b"GET /fn/f/" + b"x" * 8000 + GET[len(b"GET /fn/f/x") : -2] + FIELDS + b"\r\n", FINE),
        (b"PUT /fn/f/x HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n" + b"b" * 60_000, FINE),
        (GET, LARGE),
    ],
    ids=["fields", "fields read strictly", "target", "body that could be sent again", "answer"],
)
def test_what_a_large_exchange_leaves_is_let_go_of_within_a_second(
    request_bytes: bytes, answer: bytes, traced: Callable[[], int]
) -> None:
    memory = Memory()
    function, clients = Answers(memory), [memory.connect() for _ in range(CLIENTS)]
    ask(function, clients)
    memory.pass_time(1.5)
    before = traced()
    ask(function, clients, request_bytes, answer)
    ask(function, clients, request_bytes.replace(b"\r\n\r\n", b"\r\nX-Last: 1\r\n\r\n", 1), answer)  # of which the most is known
    held = traced() - before
    memory.pass_time(1.5)
    assert held / CLIENTS > 10 * LEFT, "otherwise there is nothing to be seen here"
    assert (traced() - before) / CLIENTS <= LEFT
    ask(function, clients)
    memory.close()


def test_a_usual_head_is_remembered_while_its_client_is_idle() -> None:
    memory = Memory()
    client = memory.connect()
    ask(Answers(memory), [client])
    memory.pass_time(10.0)
    (one,) = memory.clients.open
    assert one.head == GET
    assert [len(response.raw) < 100 for response in memory.pool.responses.values()] == [True]
    memory.close()
