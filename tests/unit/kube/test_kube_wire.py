"""kube.wire: any split of a response gives the same message; what is not understood is an error."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.wire import HEAD_LIMIT, Lines, Response, WireError, encode_request

BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(at) if a < b]


def read(data: list[bytes]) -> tuple[Response, bytes]:
    response = Response()
    return response, b"".join(response.feed(piece) for piece in data)


@given(BODIES, st.lists(st.integers(min_value=0), max_size=12), st.booleans())
def test_any_split_of_a_chunked_response_gives_its_body(chunks: list[bytes], cuts: list[int], trailers: bool) -> None:
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x;note=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    end = b"0\r\nX-Trailer: 1\r\n\r\n" if trailers else b"0\r\n\r\n"
    response, got = read(pieces(head + body + end, cuts))
    assert response.done and response.keep and got == b"".join(chunks)
    assert response.head is not None and response.head.status == 200


@given(st.binary(max_size=100), st.lists(st.integers(min_value=0), max_size=8))
def test_any_split_of_a_response_with_a_length_gives_its_body(body: bytes, cuts: list[int]) -> None:
    data = b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    response, got = read(pieces(data, cuts))
    assert (response.done, response.keep, got) == (True, False, body)


def test_a_response_without_length_ends_with_the_connection() -> None:
    response, got = read([b"HTTP/1.1 200 OK\r\n\r\nhalf", b" and half"])
    assert not response.done and got == b"half and half"
    response.eof()
    assert response.done and not response.keep


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfour",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
    ],
)
def test_a_connection_that_closes_in_the_middle_is_an_error(data: bytes) -> None:
    response, _ = read([data] if data else [])
    with pytest.raises(WireError, match="middle"):
        response.eof()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP/1.1 response"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP/1.1 response"),
        (b"HTTP/1.1 OK\r\n\r\n", "no HTTP/1.1 response"),
        (b"HTTP/1.1 200 OK\r\nno field\r\n\r\n", "no header field"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length '-1'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding 'gzip'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size b'zz'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "chunk size b'-1'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "longer than it says"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", "after the end"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * (HEAD_LIMIT + 1), "more than 65536 bytes"),
    ],
)
def test_what_is_not_understood_is_an_error(data: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words.replace("(", r"\(")):
        Response().feed(data)


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    for head in (b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        response = Response()
        try:
            response.feed(head + data)
            response.eof()
        except WireError:
            pass


def test_a_response_over_http_1_0_and_no_content_end_properly() -> None:
    response, _ = read([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"])
    assert response.done and not response.keep
    response, _ = read([b"HTTP/1.1 204 No Content\r\n\r\n"])
    assert response.done and response.keep


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("POST", b""), ("PATCH", b"{}"), ("DELETE", b"{}"), ("DELETE", b"")])
def test_an_independent_parser_reads_the_same_request(method: str, body: bytes) -> None:
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(encode_request(method, "/api/v1/pods?limit=5", {"Host": "kube:6443", "Accept": "application/json"}, body))
    head = parser.next_event()
    assert isinstance(head, h11.Request)
    assert (head.method, head.target) == (method.encode(), b"/api/v1/pods?limit=5")
    assert dict(head.headers)[b"host"] == b"kube:6443"
    got = b""
    while not isinstance(event := parser.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data)
        got += bytes(event.data)
    assert got == body and parser.trailing_data == (b"", False)


def test_a_field_cannot_smuggle_another() -> None:
    with pytest.raises(ValueError, match="line break"):
        encode_request("GET", "/", {"Authorization": "Bearer a\r\nX: y"}, b"")


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=8), st.lists(st.integers(min_value=0)))
def test_any_split_of_lines_gives_the_lines(lines: list[bytes], cuts: list[int]) -> None:
    splitter = Lines()
    got = [line for piece in pieces(b"".join(line + b"\n" for line in lines), cuts) for line in splitter.feed(piece)]
    assert got == [line for line in lines if line]
