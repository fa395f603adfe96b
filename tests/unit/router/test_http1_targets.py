"""Targets in absolute-form, and requests that count their hops."""

from __future__ import annotations

import pytest

from router.errors import LastHop, Malformed, MethodNotAllowed, Misdirected
from router.http1.request import Request, read_request
from router.http1.sender import Limits, Sender

PLAIN = Sender(b"192.0.2.1", Limits())
SECURE = Sender(b"192.0.2.1", Limits(), b"https")
BEHIND_A_BALANCER = Sender(b"10.0.0.1", Limits(), trusted=True)


def read(line: bytes, lines: bytes, sender: Sender = PLAIN, before: Request | None = None) -> Request:
    head = line + b"\r\n" + lines + b"\r\n"
    return read_request(head, len(head) - 4, sender, before.read if before else None)


@pytest.mark.parametrize(
    ("target", "host", "agree"),
    [
        (b"https://h", b"h", True),
        (b"https://h:443", b"h", True),
        (b"https://H", b"h:443", True),
        (b"HTTPS://h:443", b"H:443", True),
        (b"https://h:80", b"h", False),
        (b"https://h", b"h:80", False),
        (b"https://h:443", b"h:80", False),
        (b"http://h:80", b"h", True),
        (b"http://h:443", b"h", False),
        (b"http://h", b"h:443", False),
        (b"http://h:8443", b"h:8443", True),
    ],
)
@pytest.mark.parametrize("sender", [SECURE, BEHIND_A_BALANCER])
def test_a_scheme_s_own_port_counts_as_none(target: bytes, host: bytes, agree: bool, sender: Sender) -> None:
    if agree:
        assert read(b"GET " + target + b"/fn/f/x HTTP/1.1", b"Host: " + host + b"\r\n", sender).target == b"/x"
        return
    with pytest.raises(Malformed):
        read(b"GET " + target + b"/fn/f/x HTTP/1.1", b"Host: " + host + b"\r\n", sender)


def test_https_over_a_connection_without_tls_is_for_trusted_networks_to_say() -> None:
    with pytest.raises(Misdirected):
        read(b"GET https://h/fn/f/x HTTP/1.1", b"Host: h\r\n")


def test_an_absolute_form_is_host_enough_for_http_1_0() -> None:
    found = read(b"GET http://a.example/fn/f/x HTTP/1.0", b"A: b\r\n")
    assert b"Host: a.example\r\n" in found.lines
    assert b"X-Forwarded-Host: a.example\r\n" in found.lines
    with pytest.raises(Malformed):
        read(b"GET http://u@a/fn/f/x HTTP/1.0", b"")


@pytest.mark.parametrize(
    ("target", "forwarded"), [(b"http://h", b"*"), (b"*", b"*"), (b"http://h/", b"/"), (b"http://h?q", b"/?q")]
)
def test_options_of_a_host_itself_goes_on_as_an_asterisk(target: bytes, forwarded: bytes) -> None:
    assert read(b"OPTIONS " + target + b" HTTP/1.1", b"Host: h\r\n").target == forwarded


def test_hops_are_counted_for_options_and_trace_alone() -> None:
    for method, left in ((b"OPTIONS", b"2"), (b"TRACE", b"2"), (b"GET", b"3"), (b"PURGE", b"3")):
        assert b"Max-Forwards: " + left + b"\r\n" in read(method + b" /fn/f/x HTTP/1.1", b"Host: h\r\nMax-Forwards: 3\r\n").lines


@pytest.mark.parametrize(("method", "answer"), [(b"OPTIONS", LastHop), (b"TRACE", MethodNotAllowed)])
def test_the_last_hop_answers_by_itself(method: bytes, answer: type[Exception]) -> None:
    with pytest.raises(answer):
        read(method + b" /fn/f/x HTTP/1.1", b"Host: h\r\nMax-Forwards: 0\r\n")


def test_what_was_counted_down_is_counted_once_whatever_the_connection_sent_before() -> None:
    lines, before = b"User-Agent: " + b"x" * 80 + b"\r\nHost: h\r\nMax-Forwards: 3\r\n", None
    for number, method in enumerate((b"GET", b"OPTIONS", b"OPTIONS", b"GET", b"OPTIONS", b"GET")):
        before = read(method + b" /fn/f/%d HTTP/1.1" % number, lines, before=before)
        assert b"Max-Forwards: " + (b"3" if method == b"GET" else b"2") + b"\r\n" in before.lines


def test_a_count_is_down_also_where_the_whole_path_goes_on() -> None:
    found = read(b"OPTIONS /fn/f/x HTTP/1.1", b"Host: h\r\nMax-Forwards: 3\r\n").uncut()
    assert (found.target, b"Max-Forwards: 2\r\n" in found.lines) == (b"/fn/f/x", True)
