"""Request heads: what goes on, what is refused and why."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import ProxyError
from router.http1 import grammar
from router.http1.fields import NO_ID, NO_TRACE, Read, read_fields, read_strictly
from router.http1.request import Request, check_unfinished, read_request
from router.http1.sender import Limits, Sender
from router.http1.usual import _alike, alike

SENDER = Sender(b"192.0.2.1", Limits(head=2000, fields=20, target=100))
FORWARDED = b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def read(head: bytes, sender: Sender = SENDER) -> Request:
    return read_request(head, head.index(b"\r\n\r\n"), sender, None)


def refusal(head: bytes) -> int:
    with pytest.raises(ProxyError) as caught:
        read(head)
    return caught.value.status


def get(lines: bytes, line: bytes = b"GET /fn/f/x HTTP/1.1") -> bytes:
    return line + b"\r\n" + lines + b"\r\n"


@pytest.mark.parametrize(
    ("target", "segment", "forwarded"),
    [
        (b"/fn/hello", b"hello", b"/"),
        (b"/fn/hello?a=1", b"hello", b"/?a=1"),
        (b"/fn/hello.shop/x//y/../z?q", b"hello.shop", b"/x//y/../z?q"),
        (b"/fn/hello/%2e%2e/%66", b"hello", b"/%2e%2e/%66"),
        (b"/fn/hel%6Co/x", b"", b"/fn/hel%6Co/x"),
        (b"/%66n/hello/x", b"", b"/%66n/hello/x"),
        (b"//fn/hello", b"", b"//fn/hello"),
        (b"/fn/", b"", b"/fn/"),
        (b"/", b"", b"/"),
        (b"http://a/fn/hello/x?y", b"hello", b"/x?y"),
        (b"http://A:80/fn/hello", b"hello", b"/"),
        (b"http://a", b"", b"/"),
        (b"http://a?q", b"", b"/?q"),
    ],
)
def test_a_function_is_found_on_the_raw_path_and_gets_the_rest_as_received(
    target: bytes, segment: bytes, forwarded: bytes
) -> None:
    request = read(get(b"Host: a\r\n", b"GET " + target + b" HTTP/1.1"))
    assert (request.segment, request.target) == (segment, forwarded)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /fn/f HTTP/1.2", 505),
        (b"GET /fn/f HTTP/2.0", 505),
        (b"PRI * HTTP/2.0", 400),
        (b"GET /fn/f HTTP/1.10", 400),
        (b"GET /fn/f http/1.1", 400),
        (b"get /fn/f HTTP/1.1", 400),
        (b"G@T /fn/f HTTP/1.1", 400),
        (b"CONNECT a:80 HTTP/1.1", 400),
        (b"GET  /fn/f HTTP/1.1", 400),
        (b"GET /fn/f  HTTP/1.1", 400),
        (b"GET /fn/f HTTP/1.1 ", 400),
        (b" GET /fn/f HTTP/1.1", 400),
        (b"GET\t/fn/f HTTP/1.1", 400),
        (b"GET /fn/f", 400),
        (b"GET /fn/f#x HTTP/1.1", 400),
        (b"GET /fn/f/\x80 HTTP/1.1", 400),
        (b"GET /fn/f/\x00 HTTP/1.1", 400),
        (b"GET fn/f HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"GET http://b/fn/f HTTP/1.1", 400),
        (b"GET ftp://a/fn/f HTTP/1.1", 400),
        (b"GET /fn/f/" + b"x" * 100 + b" HTTP/1.1", 414),
        (b"GET /" + b"x" * 100 + b" HTTP/1.1", 414),
    ],
)
def test_a_request_line_that_is_not_exactly_one_is_refused(line: bytes, status: int) -> None:
    assert refusal(get(b"Host: a\r\n", line)) == status


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"", 400),
        (b"Host: a\r\nHost: a\r\n", 400),
        (b"Host:\r\n", 400),
        (b"Host: a b\r\n", 400),
        (b"Host: a@b\r\n", 400),
        (b"Host: a/b\r\n", 400),
        (b"Host: a:port\r\n", 400),
        (b"Host: [::1\r\n", 400),
        (b"Host: a\r\nX : b\r\n", 400),
        (b"Host: a\r\nX: b\r\n c\r\n", 400),
        (b" Host: a\r\n", 400),
        (b"Host: a\r\nX\r\n", 400),
        (b"Host: a\r\n: b\r\n", 400),
        (b"Host: a\r\nX(y): b\r\n", 400),
        (b"Host: a\r\nX: b\nY: c\r\n", 400),
        (b"Host: a\r\nX: b\rc\r\n", 400),
        (b"Host: a\r\nX: b\x00c\r\n", 400),
        (b"Host: a\r\nX: b\x7fc\r\n", 400),
        (b"Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400),
        (b"Host: a\r\nContent-Length: 1, 1\r\n", 400),
        (b"Host: a\r\nContent-Length: +1\r\n", 400),
        (b"Host: a\r\nContent-Length: -1\r\n", 400),
        (b"Host: a\r\nContent-Length: 0x1\r\n", 400),
        (b"Host: a\r\nContent-Length: 1_0\r\n", 400),
        (b"Host: a\r\nContent-Length:\r\n", 400),
        (b"Host: a\r\nContent-Length: 9999999999999999\r\n", 400),
        (b"Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 400),
        (b"Host: a\r\nTransfer-Encoding: xchunked\r\n", 400),
        (b"Host: a\r\nTransfer-Encoding: chunked;q=1\r\n", 400),
        (b"Host: a\r\nTransfer-Encoding: \x0bchunked\r\n", 400),
        (b"Host: a\r\nTransfer-Encoding:\r\n", 400),
        (b"Host: a\r\nConnection: host\r\n", 400),
        (b"Host: a\r\nConnection: close, Content-Length\r\n", 400),
        (b"Host: a\r\nConnection: X-Forwarded-For\r\n", 400),
        (b"Host: a\r\nConnection: x-request-id\r\n", 400),
        (b"Host: a\r\nConnection: a b\r\n", 400),
        (b"Host: a\r\nExpect: 200-ok\r\n", 417),
        (b"Host: a\r\n" + b"a:\r\n" * 20, 431),
        (b"Host: a\r\n" + b"X-Long-Name: value\r\n" * 20, 431),
    ],
)
def test_ambiguous_or_malformed_fields_are_refused(lines: bytes, status: int) -> None:
    assert refusal(get(lines)) == status


def test_transfer_encoding_in_http_1_0_is_refused() -> None:
    assert refusal(get(b"Host: a\r\nTransfer-Encoding: chunked\r\n", b"POST /fn/f HTTP/1.0")) == 400


def test_hop_by_hop_fields_and_what_connection_names_stay_here() -> None:
    lines = (
        b"Host: a\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nTrailer: X\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: x\r\nProxy-Authorization: x\r\nForwarded: for=x\r\nX-Forwarded-For: 9.9.9.9\r\n"
        b"X_Forwarded_For: 9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nX-Forwarded-User: root\r\nx-forwarded-port: 1\r\nX-Kept: yes\r\n"
    )
    found = read(get(lines))
    assert found.lines == b"X-Kept: yes\r\nHost: a\r\n" + FORWARDED
    assert not found.fields.keep


def test_an_upgrade_is_read_unless_it_is_to_http_2() -> None:
    for protocol, asked in ((b"WebSocket", b"websocket"), (b"h2c", b""), (b"H2C", b""), (b"a b", b"")):
        special = read(get(b"Host: a\r\nConnection: Upgrade\r\nUpgrade: " + protocol + b"\r\n")).fields.special
        assert (special.upgrade if special else b"") == asked


def test_fields_that_a_cgi_server_would_take_for_framing_or_routing_stay_here() -> None:
    found = read(get(b"Host: a\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\nX_Forwarded_Proto: https\r\n"))
    assert found.lines == b"Host: a\r\n" + FORWARDED


def test_a_usual_block_goes_on_as_it_came() -> None:
    lines = (
        b"User-Agent: x\r\nHost: a\r\nCookie: a=b; c=\xfc\r\nX-Request-Id: r1\r\ntraceparent: "
        + TRACE
        + b"\r\nContent-Length: 3\r\n"
    )
    request = read(get(lines))
    found = request.fields
    assert request.lines == lines + FORWARDED
    assert (found.length, found.missing, found.keep, found.host) == (3, 0, True, b"a")


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (b"traceparent: cc" + TRACE[2:] + b"-what-the-future-will-be-like\r\n", NO_ID),
        (b"traceparent: cc" + TRACE[2:] + b".what-the-future-will-not-be-like\r\n", NO_ID | NO_TRACE),
        (b"traceparent: " + TRACE + b"-x\r\n", NO_ID | NO_TRACE),
        (b"", NO_ID | NO_TRACE),
        (b"X-Request-Id: a\r\n", NO_TRACE),
        (b"traceparent: " + TRACE + b"\r\n", NO_ID),
        (b"X-Request-Id: a b\r\n", NO_ID | NO_TRACE),
        (b"X-Request-Id: a\r\nX-Request-Id: b\r\n", NO_ID | NO_TRACE),
        (b"traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n", NO_ID | NO_TRACE),
        (b"traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n", NO_ID | NO_TRACE),
    ],
)
def test_identities_are_kept_when_well_formed_and_dropped_otherwise(lines: bytes, missing: int) -> None:
    found = read(get(b"Host: a\r\n" + lines))
    assert found.fields.missing == missing
    assert (b"Request-Id" in found.lines) == (not missing & NO_ID)
    assert (b"traceparent" in found.lines) == (not missing & NO_TRACE)


def test_a_tracestate_goes_with_its_traceparent_only() -> None:
    assert b"tracestate" not in read(get(b"Host: a\r\ntracestate: a=1\r\n")).lines
    named = b"Host: a\r\ntracestate: a=1\r\nConnection: tracestate\r\ntraceparent: " + TRACE + b"\r\n"
    assert b"tracestate" not in read(get(named)).lines
    assert b"tracestate: a=1" in read(get(b"Host: a\r\ntracestate: a=1\r\ntraceparent: " + TRACE + b"\r\n")).lines


def test_a_trusted_sender_speaks_for_others() -> None:
    sender = Sender(b"10.0.0.1", Limits(), trusted=True)
    user = b"X-Forwarded-User: me\r\n"
    assert read(get(b"Host: a\r\n" + user + b"X_Forwarded_User: root\r\n"), sender).lines.startswith(user + b"Host: a\r\n")
    lines = b"Host: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
    assert read(get(lines), sender).lines == (
        b"Host: a\r\nX-Forwarded-For: 9.9.9.9, 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
    )


NAMES = st.sampled_from(
    [
        b"Host",
        b"X",
        b"Cookie",
        b"Content-Length",
        b"Connection",
        b"TE",
        b"te-x",
        b"X-Request-Id",
        b"traceparent",
        b"Upgrade",
        b"x-f",
    ]
)
VALUES = st.sampled_from([b"", b"a", b"1", b"keep-alive", b"close", b" x ", b"trailers", TRACE, b"a b", b"\x00", b"a:1"])


def meaning(read: Read) -> tuple[object, ...]:
    """All that is read of a block, but for the order of the lines that go on."""
    fields, _, own = read
    lines = normal(fields.front + own + fields.back)
    return lines, fields.minor, fields.host, fields.length, fields.keep, fields.missing, fields.special


def outcome(reading: Callable[..., Read], *given: object) -> object:
    """What is read, or how it is refused."""
    try:
        return meaning(reading(*given))
    except ProxyError as error:
        return type(error), str(error)


def follow(last: Read | None, block: bytes, minor: bytes = b"1") -> Read | None:
    """Read a block after another, which must change nothing in what is read; returns what is the last one now."""
    assert outcome(read_fields, block, minor, SENDER, last) == outcome(read_strictly, block, minor, SENDER)
    try:
        return read_fields(block, minor, SENDER, last)
    except ProxyError:
        return last


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_the_fast_path_and_the_slow_one_agree(lines: list[tuple[bytes, bytes]]) -> None:
    follow(None, b"".join(name + b": " + value + b"\r\n" for name, value in lines))


LONG = b"User-Agent: " + b"x" * 60 + b"\r\n"
SAID = (
    *(b"Host: a\r\n", b"Content-Length: 3\r\n", b"X-Request-Id: r\r\n", b"traceparent: " + TRACE + b"\r\n", b"tracestate: s\r\n"),
    *(b"Connection: keep-alive\r\n", b"Transfer-Encoding: chunked\r\n", b"X: y\r\n"),
)


@given(
    st.lists(st.tuples(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.sampled_from(b"110")), min_size=2, max_size=5),
    st.sampled_from([b"", *SAID]),
)
def test_what_a_connection_sent_before_changes_nothing_in_what_is_read(
    requests: list[tuple[list[tuple[bytes, bytes]], int]], shared: bytes
) -> None:
    last: Read | None = None
    for lines, minor in requests:
        block = LONG + shared + b"".join(name + b": " + value + b"\r\n" for name, value in lines)
        last = follow(last, block, b"%c" % minor)


@pytest.mark.parametrize("again", SAID)
@pytest.mark.parametrize("said", SAID)
def test_what_known_lines_say_is_seen_when_another_says_it_again(said: bytes, again: bytes) -> None:
    known = LONG + said + (b"" if said == SAID[0] else SAID[0])
    last: Read | None = None
    for tail in (b"X: 1\r\n", b"X: 2\r\n", b"X: 3\r\n", again, b"X: 4\r\n" + again, again + again, b"X: 5\r\n"):
        last = follow(last, known + tail)


@given(st.permutations([LONG, *SAID[:6], b"Cookie: a\r\n"]), st.integers(0, 8))
def test_wherever_known_lines_end_the_block_is_read_as_without_them(lines: list[bytes], split: int) -> None:
    block, known = b"".join(lines), b"".join(lines[:split])
    last: Read | None = None
    for tail in (b"X: 1\r\n", b"X: 2\r\n", b"X: 3\r\n"):
        last = follow(last, known + (b"" if SAID[0] in known else SAID[0]) + tail)
    for _ in range(2):
        last = follow(last, block)


def test_lines_that_stop_being_known_go_on_as_they_are() -> None:
    last: Read | None = None
    for lines in ((b"X: 1", b"A: 1"), (b"X: 2", b"A: 1"), (b"X: 2", b"A: 2"), (b"X: 2", b"A: 3"), (b"X: 3", b"A: 3"), (b"X: 4",)):
        last = follow(last, LONG + b"\r\n".join((*lines, SAID[0])))


def test_a_tail_like_those_before_is_read_with_the_lines_that_stand_before_it_now() -> None:
    _alike.clear()
    last: Read | None = None
    for host, number in ((b"a", 1), (b"a", 2), (b"a", 3), (b"a", 4), (b"b", 5), (b"b", 6), (b"a", 7)):
        last = follow(last, LONG + b"Host: %b\r\nX: %d\r\n" % (host, number))


@given(
    st.lists(NAMES.filter(lambda name: name not in (b"Host", b"Content-Length", b"Connection")), max_size=4),
    st.lists(st.lists(VALUES, min_size=4, max_size=4), max_size=3),
)
def test_a_tail_of_the_same_names_is_read_as_if_it_were_the_first(names: list[bytes], rows: list[list[bytes]]) -> None:
    _alike.clear()
    usual = [TRACE if name == b"traceparent" else b"1" for name in names]
    last: Read | None = None
    for values in (
        [b"0", *usual],
        [b"1", *usual],
        [b"2", *usual],
        [b"3", *usual],
        *([b"4", *row] for row in rows),
        [b"5", *usual],
    ):
        lines = (
            LONG[:-2],
            b"Host: a",
            *(name + b": " + value for name, value in zip((b"X-Y", *names), values, strict=False)),
            b"",
        )
        last = follow(last, b"\r\n".join(lines))


@pytest.mark.parametrize(
    "tail",
    [
        *(
            b"X-Request-Id: a b\r\nC: 1\r\n",
            b"X-Request-Id:\r\nC: 1\r\n",
            b"X-Request-Id: 1\r\nC: \x00\r\n",
            b"X-Request-Id: 1\r\nC: 1\n",
        ),
        *(b"x-request-id: 1\r\nC: 1\r\n", b"C: 1\r\nX-Request-Id: 1\r\n", b"X-Request-Id: 1\r\n", b"C: 1\r\n", b""),
        *(b"X-Request-Id: 1\r\nC: 1\r\nHost: b\r\n", b"X-Request-Id: 1\r\nC: 1\r\n\r\n", b"X-Request-Id: 1\r\nC: 1\r\nC: 1\r\n"),
        *(
            b"X-Request-Id: 1\r\nC : 1\r\n",
            b"X-Request-Id: 1\r\nC: 1\r\n TE: x\r\n",
            b"X-Request-Id: " + b"1" * 201 + b"\r\nC: 1\r\n",
        ),
    ],
)
def test_a_tail_that_only_resembles_the_ones_before_is_read_as_if_it_were_the_first(tail: bytes) -> None:
    _alike.clear()
    last: Read | None = None
    for number in range(5):
        last = follow(last, LONG + SAID[0] + b"X-Request-Id: %d\r\nC: %d\r\n" % (number, number))
    assert last is not None and last[0].alike is not None
    follow(last, LONG + SAID[0] + tail)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        *((b"Content-Length: 3", b"Content-Length: 4"), (b"Content-Length: 3", b"Content-Length: x"), (b"Host: a", b"Host: b")),
        *((b"Host: a", b"Host: a b"), (b"Connection: keep-alive", b"Connection: close"), (b"tracestate: a", b"tracestate: b")),
    ],
)
def test_a_line_whose_value_says_something_is_read_however_often_it_was_the_same(line: bytes, other: bytes) -> None:
    _alike.clear()
    last: Read | None = None
    for number in range(5):
        block = LONG + (b"" if line == b"Host: a" else SAID[0]) + b"traceparent: " + TRACE + b"\r\nX: %d\r\n" % number
        last = follow(last, block + line + b"\r\n")
    follow(last, block + other + b"\r\n")


def test_no_client_has_an_expression_compiled_for_its_names_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _alike.clear()
    lines = (b"Never-Seen: %d\r\n", b"N" * 257 + b": %d\r\n")
    assert alike(lines[1] % 1) is None, "too long to be kept"
    for number in range(64):
        monkeypatch.setitem(_alike, (b"%d" % number,), re.compile(b"").fullmatch)
    assert alike(lines[0] % 1) is None, "one more would be compiled"
    last: Read | None = None
    for number in range(5):
        last = follow(last, LONG + SAID[0] + lines[0] % number)


def test_requests_whose_lines_say_the_same_share_what_they_say() -> None:
    last: Read | None = None
    reads = []
    for number in range(100, 105):
        last = read_fields(LONG + b"Host: a\r\nX-Request-Id: %d\r\n" % number, b"1", SENDER, last)
        reads.append(last)
    assert reads[2][0] is reads[3][0] is reads[4][0] is not reads[0][0]
    assert [tail for _, tail, _ in reads[1:]] == [b"X-Request-Id: %d\r\n" % number for number in range(101, 105)]
    assert read_fields(LONG + b"Host: a\r\nX-Request-Id: 104\r\n", b"1", SENDER, last) == last  # no `is`: compiled, it is copied


def test_a_repeated_beginning_does_not_hide_too_many_lines_or_a_second_host() -> None:
    start = LONG + b"Host: a\r\n"
    last: Read | None = None
    for number in range(3):
        last = read_fields(start + b"X: %d\r\n" % number, b"1", SENDER, last)
    assert last is not None and last[0].prefix.raw == start
    for tail in (b"Host: a\r\n", b"a:\r\n" * 19, b"X-Long-Name: value\r\n" * 19):
        with pytest.raises(ProxyError):
            read_fields(start + tail, b"1", SENDER, last)
    for tail in (b"a:\r\n" * 18, b"X-Long-Name: value\r\n" * 18):
        found, _, own = read_fields(start + tail, b"1", SENDER, last)
        assert (found, own) == (last[0], tail), "as many as are allowed, however long they are"


def normal(lines: bytes) -> list[tuple[bytes, bytes]]:
    return sorted((name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines.split(b"\r\n")))


def test_without_possessive_expressions_everything_goes_the_slow_way() -> None:
    assert grammar.POSSESSIVE
    sender = Sender(b"192.0.2.1", Limits())
    sender.match_usual = lambda block: None
    assert read(get(b"Host: a\r\nX: y\r\n"), sender).lines == b"X: y\r\nHost: a\r\n" + FORWARDED


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"x" * 200, 414),
        (b"GET / HTTP/1.1\r\n" + b"x" * 2000, 431),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
    ],
)
def test_a_head_that_can_never_be_right_is_refused_before_it_ends(data: bytes, status: int) -> None:
    with pytest.raises(ProxyError) as caught:
        check_unfinished(data, SENDER.limits)
    assert caught.value.status == status


@pytest.mark.parametrize("start", [b"GET /fn/f", b"GET /fn/f/", b"GET /fn/", b"GET /", b"GET http://a/fn/f/"])
def test_a_target_of_just_the_limit_is_taken_whatever_stands_in_it(start: bytes) -> None:
    target = start[4:] + b"x" * (100 - len(start[4:]))
    read(get(b"Host: a\r\n", b"GET " + target + b" HTTP/1.1"))
    assert refusal(get(b"Host: a\r\n", b"GET " + target + b"x HTTP/1.1")) == 414


def test_a_head_of_just_the_limit_is_waited_for_to_its_last_byte() -> None:
    head = get(b"Host: a\r\nX: " + b"x" * 1966 + b"\r\n")
    assert len(head) - 4 == SENDER.limits.head
    for end in range(len(head) - 4, len(head)):
        check_unfinished(head[:end], SENDER.limits)
    with pytest.raises(ProxyError):
        check_unfinished(head, SENDER.limits)


def test_a_head_that_may_still_become_right_is_waited_for() -> None:
    head = b"\r\nGET /fn/f HTTP/1.1\r\nHost: a\r\n\r\n"
    for end in range(len(head) - 1):
        check_unfinished(head[:end], SENDER.limits)
