"""Response heads and chunked bodies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import BadUpstream, ProxyError
from router.http1.body import ChunkedReader, chunk, last_chunk
from router.http1.grammar import CHUNKED, CLOSE
from router.http1.response import read_response


@pytest.mark.parametrize(
    ("block", "head", "length", "keep", "idle"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", 3, True, 0),
        (b"HTTP/1.1 200\r\nContent-Length: 3\r\n", b"HTTP/1.1 200 \r\nContent-Length: 3\r\n", 3, True, 0),
        (
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
            3,
            True,
            5,
        ),
        (
            b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nA: b\r\nContent-Length: 3\r\nConnection: keep-alive\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n",
            3,
            True,
            5,
        ),
        (
            b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 3\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
            3,
            True,
            1,
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
            3,
            False,
            0,
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", 3, False, 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n", b"HTTP/1.1 200 OK\r\n", CHUNKED, True, 0),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n", CLOSE, True, 0),
        (b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nTrailer: T\r\n", b"HTTP/1.1 200 OK\r\n", CLOSE, True, 0),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n", b"HTTP/1.1 204 No Content\r\n", 3, True, 0),
        (
            b"HTTP/1.1 426 Upgrade\r\nUpgrade: WebSocket, h2c\r\nConnection: close, Upgrade\r\nContent-Length: 0\r\n",
            b"HTTP/1.1 426 Upgrade\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            0,
            False,
            0,
        ),
        (b"HTTP/1.1 426 Upgrade\r\nUpgrade: h2c\r\n", b"HTTP/1.1 426 Upgrade\r\n", CLOSE, True, 0),
    ],
)
def test_a_response_is_read_and_loses_what_concerns_one_connection(
    block: bytes, head: bytes, length: int, keep: bool, idle: int
) -> None:
    response = read_response(block)
    assert (response.head, response.length, response.keep, response.idle) == (head, length, keep, idle)
    assert response.wire == head + b"\r\n"


@pytest.mark.parametrize(
    "block",
    [
        b"HTTP/1.2 200 OK\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 600 OK\r\n",
        b"HTTP/1.1  200 OK\r\n",
        b"HTTP/1.1 200 O\x00K\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\nZ: z\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_a_response_that_could_be_read_in_two_ways_is_refused(block: bytes) -> None:
    with pytest.raises(BadUpstream):
        read_response(block)


PAYLOADS = st.lists(st.binary(min_size=1, max_size=20), max_size=4)


@given(
    PAYLOADS, st.lists(st.integers(1, 30), min_size=1, max_size=200), st.sampled_from([b"", b"X-T: 1\r\n"]), st.binary(max_size=5)
)
def test_any_split_of_a_chunked_body_gives_the_same_payload(
    payloads: list[bytes], steps: list[int], trailers: bytes, behind: bytes
) -> None:
    data = b"".join(b"".join(chunk([memoryview(payload)])) for payload in payloads) + last_chunk(trailers) + behind
    reader, found, at, n = ChunkedReader(), bytearray(), 0, 0
    while not reader.done:
        pieces: list[memoryview] = []
        end = min(len(data), at + steps[n % len(steps)])
        at = reader.read(data, at, end, pieces)
        found += b"".join(pieces)
        n += 1
    assert (bytes(found), reader.trailers, data[at:]) == (b"".join(payloads), trailers, behind)


@pytest.mark.parametrize(
    "data",
    [
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"g\r\n",
        b"\r\n",
        b"1\n",
        b"1234567890123456\r\n",
        b"1;\r\n",
        b"1;a\x00\r\n",
        b'1;a="\r\n',
        b"1;a\nb\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n",
        b"3\r\nabc\rX",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\nX: y\n\r\n",
        b"0\r\n y\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 4000,
        b"1;" + b"a" * 5000,
    ],
)
@pytest.mark.parametrize("step", [1, 100_000])
def test_a_malformed_chunk_is_refused_however_it_arrives(data: bytes, step: int) -> None:
    reader = ChunkedReader()
    with pytest.raises(ProxyError):
        for at in range(0, len(data), step):
            reader.read(data, at, min(len(data), at + step), [])


def test_trailers_lose_framing_routing_and_what_the_router_sets() -> None:
    lost = (
        b"Content-Length: 5",
        b"Host: x",
        b"X-Forwarded_For: y",
        b"X-Forwarded-User: root",
        b"X_Forwarded_Port: 1",
        b"tracestate: a=b",
    )
    data = b"0\r\n" + b"".join(line + b"\r\n" for line in (*lost, b"Authorization: z", b"X-Sum:  1 ")) + b"\r\n"
    reader = ChunkedReader()
    assert reader.read(data, 0, len(data), []) == len(data)
    assert reader.trailers == b"X-Sum: 1\r\n"
