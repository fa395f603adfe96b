"""Via: what the router calls itself, and requests that come by again and again."""

from __future__ import annotations

import pytest

from router.errors import LoopDetected, Malformed
from router.http1.hops import ROUNDS
from router.http1.request import Request, read_request
from router.http1.sender import Limits, Sender

SILENT = Sender(b"192.0.2.1", Limits())
EDGE = Sender(b"192.0.2.1", Limits(), via=b"edge")
TRUSTED = Sender(b"192.0.2.1", Limits(), trusted=True, via=b"edge")
FORWARDED = b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"


def read(lines: bytes, sender: Sender = EDGE, minor: bytes = b"1", before: Request | None = None) -> Request:
    head = b"GET /fn/f/x HTTP/1." + minor + b"\r\nHost: h\r\n" + lines + b"\r\n"
    return read_request(head, len(head) - 4, sender, before.read if before else None)


@pytest.mark.parametrize("sender", [EDGE, TRUSTED])
@pytest.mark.parametrize("lines", [b"", b"A: b\r\n", b"Via: 1.0 fred, 2 p.example:80 (a, b)\r\n", b"TE: gzip\r\n"])
def test_the_router_says_that_a_request_came_by_behind_whoever_said_so_before(sender: Sender, lines: bytes) -> None:
    went = read(lines, sender).lines
    kept = b"" if lines[:2] == b"TE" else lines
    assert went in (b"Host: h\r\n" + kept + b"Via: 1.1 edge\r\n" + FORWARDED, kept + b"Host: h\r\nVia: 1.1 edge\r\n" + FORWARDED)


def test_the_version_is_the_one_that_came() -> None:
    for sender in (EDGE, TRUSTED):
        assert read(b"", sender, b"0").lines == b"Host: h\r\nVia: 1.0 edge\r\n" + FORWARDED


def test_a_router_without_a_name_says_nothing_and_counts_nothing() -> None:
    lines = b"Via: 1.1 edge\r\n" * 20
    assert read(lines, SILENT).lines == b"Host: h\r\n" + lines + FORWARDED


@pytest.mark.parametrize("line", [b"Via: 1.1 edge\r\n", b"via:1.1\tedge (comment)\r\n", b"VIA: 1.0 fred, HTTP/1.1 edge\r\n"])
def test_a_request_that_came_by_too_often_is_refused(line: bytes) -> None:
    assert read(line * (ROUNDS - 1)).lines.count(b"edge") == ROUNDS
    with pytest.raises(LoopDetected):
        read(line * ROUNDS)
    with pytest.raises(LoopDetected):
        read(b"Via: " + b", ".join([b"1.1 edge"] * ROUNDS) + b"\r\n")


def test_what_a_connection_sent_before_hides_no_round() -> None:
    known, before = b"User-Agent: " + b"x" * 80 + b"\r\n" + b"Via: 1.1 edge\r\n" * (ROUNDS - 1), None
    for number in range(4):
        before = read(known + b"A: %d\r\n" % number, before=before)
    with pytest.raises(LoopDetected):
        read(known + b"Via: 1.1 edge\r\n", before=before)


def test_others_are_not_taken_for_the_router() -> None:
    for other in (b"1.1 edges", b"1.1 Edge", b"1.1 x (edge)", b"edge", b"", b"1.1 x.edge"):
        assert read((b"Via: " + other + b"\r\n") * 20).lines.count(b"Via: 1.1 edge\r\n") == 1


def test_nobody_has_via_removed() -> None:
    with pytest.raises(Malformed):
        read(b"Connection: Via\r\nVia: 1.1 edge\r\n")
