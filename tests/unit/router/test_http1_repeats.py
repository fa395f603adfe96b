"""Fields read the fast ways: as usual ones, and as those that the connection sent before. The strict way must say the same."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import ProxyError
from router.http1.fields import Read, read_fields, read_strictly
from router.http1.sender import Limits, Sender
from router.http1.usual import _alike, alike

SENDER = Sender(b"192.0.2.1", Limits(head=2000, fields=20, target=100))
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
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
