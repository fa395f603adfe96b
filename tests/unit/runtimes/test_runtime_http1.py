"""The Python runtime's HTTP/1.1 parser: strict, and blind to how the bytes were split."""

from __future__ import annotations

import itertools
from typing import Any

import h11
import pytest
from _cloudbase_runtime.http1 import HEAD_LIMIT, BadRequest, Parser
from hypothesis import given
from hypothesis import strategies as st

HOST = "Host: x\r\n"


def parse(pieces: list[bytes]) -> list[tuple[str, bytes, list[tuple[bytes, bytes]], bytes]]:
    """Every whole message in the pieces: method, target, fields, body."""
    parser, messages, head, body = Parser(), [], None, b""
    for piece in pieces:
        parser.feed(piece)
        while True:
            if head is None:
                head, body = parser.head(), b""
                if head is None:
                    break
            part, ended = parser.body()
            body += part
            if not ended:
                break
            messages.append((head.method, head.target, head.fields, body))
            head = None
    return messages


def one(text: str) -> Any:
    parser = Parser()
    parser.feed(text.encode("latin-1"))
    head = parser.head()
    assert head is not None
    return head


names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True).filter(
    lambda name: name.lower() not in ("host", "content-length", "transfer-encoding", "connection", "expect", "upgrade")
)
values = st.from_regex(r"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True)
bodies = st.binary(max_size=300)


@st.composite
def message(draw: st.DrawFn) -> tuple[bytes, tuple[str, bytes, list[tuple[bytes, bytes]], bytes]]:
    """Bytes of a valid request, and what they mean."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "X-OWN"]))
    target = draw(st.from_regex(r"/[!-~]{0,20}", fullmatch=True))
    fields = [(name.encode(), value.encode()) for name, value in draw(st.lists(st.tuples(names, values), max_size=5))]
    body = draw(bodies)
    if draw(st.booleans()):
        fields.append((b"Transfer-Encoding", b"chunked"))
        cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
        parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True) if b > a]
        framed = b"".join(b"%x;e=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nTrailer: t\r\n\r\n"
    else:
        fields.append((b"Content-Length", b"%d" % len(body)))
        framed = body
    fields.insert(0, (b"Host", b"x"))
    head = b"%b %b HTTP/1.1\r\n" % (method.encode(), target.encode()) + b"".join(b"%b: %b\r\n" % field for field in fields)
    return head + b"\r\n" + framed, (method, target.encode(), [(name.lower(), value) for name, value in fields], body)


@given(st.lists(message(), min_size=1, max_size=3), st.lists(st.integers(0, 2000), max_size=8))
def test_any_split_of_valid_bytes_gives_the_same_messages(messages: list[Any], cuts: list[int]) -> None:
    whole = b"".join(raw for raw, _ in messages)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(places)]
    assert parse(pieces) == [meaning for _, meaning in messages]


@given(message())
def test_an_independent_parser_reads_the_same(drawn: Any) -> None:
    raw, (method, target, fields, body) = drawn
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    received = b""
    while isinstance(event := connection.next_event(), h11.Data):
        received += bytes(event.data)
    assert (request.method.decode(), request.target, list(request.headers), received) == (method, target, fields, body)


@given(st.binary(max_size=400))
def test_random_bytes_give_messages_or_a_bad_request(junk: bytes) -> None:
    try:
        parse([junk])
    except BadRequest as error:
        assert error.status in (400, 431)


@pytest.mark.parametrize(
    "text",
    [
        f"GET / HTTP/1.1\r\n{HOST}A : b\r\n\r\n",
        f"GET / HTTP/1.1\r\n{HOST}A: b\r\n c\r\n\r\n",
        f"GET / HTTP/1.1\r\n{HOST}A: b\0\r\n\r\n",
        f"GET / HTTP/1.1\r\n{HOST}A: b\nC: d\r\n\r\n",
        f"GET  / HTTP/1.1\r\n{HOST}\r\n",
        f"GET / HTTP/2.0\r\n{HOST}\r\n",
        f"G(T / HTTP/1.1\r\n{HOST}\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n",
        f"GET / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        f"GET / HTTP/1.1\r\n{HOST}Content-Length: +1\r\n\r\n",
        f"GET / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n",
        f"GET / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_ambiguous_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        one(text)


@pytest.mark.parametrize(
    "chunks",
    ["-1\r\n", "0x1\r\na\r\n", "1\r\nab\r\n", " 1\r\na\r\n", f"{'1' * 16}\r\n", "1\na\r\n0\r\n\r\n", "0\r\nA : b\r\n\r\n"],
)
def test_a_broken_chunk_is_refused(chunks: str) -> None:
    parser = Parser()
    parser.feed(f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{chunks}".encode())
    assert parser.head() is not None
    with pytest.raises(BadRequest):
        parser.body()


def test_a_head_over_the_limit_is_431_whether_or_not_it_ends() -> None:
    for tail in ("", "\r\n\r\n"):
        with pytest.raises(BadRequest) as refused:
            one(f"GET / HTTP/1.1\r\n{HOST}A: {'b' * HEAD_LIMIT}{tail}")
        assert refused.value.status == 431


@pytest.mark.parametrize(
    ("text", "keep_alive"),
    [
        (f"GET / HTTP/1.1\r\n{HOST}\r\n", True),
        (f"GET / HTTP/1.1\r\n{HOST}Connection: foo, Close\r\n\r\n", False),
        ("GET / HTTP/1.0\r\n\r\n", False),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True),
    ],
)
def test_the_connection_is_kept_as_the_version_and_the_field_say(text: str, keep_alive: bool) -> None:
    assert one(text).keep_alive is keep_alive


def test_an_upgrade_counts_only_when_connection_names_it() -> None:
    assert one(f"GET / HTTP/1.1\r\n{HOST}Connection: upgrade\r\nUpgrade: WebSocket\r\n\r\n").upgrade == b"websocket"
    assert one(f"GET / HTTP/1.1\r\n{HOST}Upgrade: websocket\r\n\r\n").upgrade == b""
