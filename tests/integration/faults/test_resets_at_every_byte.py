"""A function that breaks off at each byte of its answer: tried again, 502, broken off, or whole, and never anything else."""

from __future__ import annotations

import pytest

from tests.integration.faults.fault_world import GET, OK, POST, left, no_more_connections, nothing_is_left, read_by_router
from tests.integration.router.router_world import Origin, Wire, World

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello"
HINTED = b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK


def break_off(world: World, wire: Wire, data: bytes, by_reset: bool) -> None:
    """The function sends so much and ends."""
    if data:
        wire.send(data)
        read_by_router(world)
    if by_reset:
        wire.reset()
    else:
        wire.close()


def whole(answer: bytes) -> bool:
    """Would a client take this for a whole response?"""
    head, _, body = answer.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 1"):
        head, _, body = body.partition(b"\r\n\r\n")
    if b"Content-Length: " in head:
        return len(body) == int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    return b"chunked" in head and body.endswith(b"0\r\n\r\n")


def expected(answer: bytes, at: int, method: bytes, by_reset: bool) -> str:
    """The outcome that issue, RFC 9110 9.2.2 and RFC 9112 8 want."""
    start = answer.index(b"HTTP/1.1 200")
    head_end = answer.index(b"\r\n\r\n", start) + 4
    if at == 0 and method == b"GET":
        return "again"
    if at < head_end:
        return "502"
    if answer is CLOSING and not by_reset:
        return "whole"
    return "whole" if at == len(answer) and answer is not CLOSING else "cut"


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("by_reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("answer", [OK, CHUNKED, CLOSING, HINTED], ids=["length", "chunked", "close", "hinted"])
def test_an_answer_that_breaks_off_at_any_byte_is_never_a_wrong_one(
    world: World, answer: bytes, by_reset: bool, request_bytes: bytes
) -> None:
    origin = world.origin()
    world.put(origin)
    method = request_bytes.split(b" ")[0]
    for at in range(len(answer) + 1):
        client = world.client()
        client.send(request_bytes)
        wire = accept(origin)
        wire.head()
        break_off(world, wire, answer[:at], by_reset)
        outcome = expected(answer, at, method, by_reset)
        if outcome == "again":
            second = accept(origin)
            assert second.head().startswith(b"GET /x ")
            second.send(OK)
            assert client.answer()[0].startswith(b"HTTP/1.1 200")
            second.close()
        else:
            got = received(client, outcome)
            assert (b"HTTP/1.1 502" in got) == (outcome == "502"), (at, got)
            assert outcome == "502" or whole(got) == (outcome == "whole"), (at, got)
        client.close()
    assert no_more_connections(origin)
    assert nothing_is_left(world)
    assert left(world) == {}


def accept(origin: Origin) -> Wire:
    """The next connection; those before it are not kept."""
    origin.wires.clear()
    return origin.accept()


def received(client: Wire, outcome: str) -> bytes:
    """Everything, of an answer that ends with its connection; else up to the end of its body."""
    if outcome == "cut":
        return client.rest()
    head = client.head()
    while head.startswith(b"HTTP/1.1 1"):
        head = client.head()
    if b"Content-Length: " in head:
        return head + client.exactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
    return head + chunks(client)


def chunks(client: Wire) -> bytes:
    """A chunked body as it came, its trailers left out."""
    data = b""
    while not data.endswith(b"\r\n0\r\n") and data != b"0\r\n":
        data += client.until(b"\r\n")
    while client.until(b"\r\n") != b"\r\n":
        pass
    return data + b"\r\n"
