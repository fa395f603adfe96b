"""Request heads: what goes on, what is refused and why."""

from __future__ import annotations

import pytest

from router.errors import ProxyError
from router.http1 import grammar
from router.http1.fields import NO_ID, NO_TRACE
from router.http1.request import Request, check_unfinished, read_request
from router.http1.sender import Limits, Sender

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
