"""What holds for every byte stream: the real codecs, exchange, gate and pool over sockets in memory, with h11 on the far side."""

from __future__ import annotations

import re
from typing import Any

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.http1.sender import Limits
from router.wire.buffer import LARGE
from tests.fuzz.functions import Message, Recorder, Scripted
from tests.fuzz.memory import Memory, Socket
from tests.fuzz.messages import KEPT_HERE, Answered, Sent, requests, responses, splits

PLENTY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
LIMITS = Limits(head=2048, fields=40, target=512)
MOST_RETAINED = 3 * 2048 + 4096 + 16384 + 8192  # bytes: heads, a size line, trailers, and what memory.feed gave in one piece
SPECIAL = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"0",
    b"chunked",
    b"Content-Length: 1\r\n",
    b";",
    b",",
    b"-1",
)


def through(pieces: list[bytes], limits: Limits | None = None, large: int = LARGE) -> tuple[list[Message], bytes, bool]:
    """What reaches the function, and what the client gets; `large` are the bytes that are worth not being copied."""
    memory = Memory(limits, large=large)
    function = Recorder(memory)
    client = memory.connect()
    memory.feed(client, pieces, function)
    outcome = (function.messages, bytes(client.outbox), client.closed or client.ended)  # a FIN is an end, too
    client.fin = True
    memory.run(function)
    assert memory.present() == (0, 0)
    memory.close()
    return outcome


def meaning(message: Message) -> tuple[Any, ...]:
    """A message without what the router adds and what framing says."""
    fields = [(n, v) for n, v in message.fields if n not in KEPT_HERE | {b"content-length"}]
    return message.method, message.target, sorted(fields), message.body, message.trailers


@PLENTY
@given(st.data(), st.lists(requests(), min_size=1, max_size=4))
def test_any_split_of_valid_requests_gives_the_same_messages_and_they_are_the_ones_that_came_in(
    data: st.DataObject, sent: list[Sent]
) -> None:
    raw = b"".join(one.raw for one in sent)
    pieces = data.draw(splits(raw))
    messages, answers, closed = through(pieces, large=data.draw(st.sampled_from((1, 40, LARGE))))
    assert [meaning(one) for one in messages] == [
        (one.method, one.target, sorted(one.fields), one.body, one.trailers) for one in sent
    ]
    assert answers.count(b"HTTP/1.1 200 OK") == len(sent)
    assert not closed
    whole = through([raw])
    assert ([meaning(one) for one in whole[0]], *whole[1:]) == ([meaning(one) for one in messages], answers, closed)


def responded(answer: Answered, pieces: list[bytes]) -> tuple[list[Any], bool, bool]:
    """The events that a client's h11 reads, whether the client's connection ended, and whether the function's was used again."""
    memory = Memory()
    function = Scripted(memory, pieces, fin=answer.fin)
    client = memory.connect()
    memory.feed(client, [b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"], function)
    events = read_response(client)
    closed = client.closed or client.ended
    memory.feed(memory.connect(), [b"GET /fn/f/y HTTP/1.1\r\nHost: h\r\n\r\n"], function)
    assert function.requests[1:] in ([0], [1])
    memory.close()
    return events, closed, function.requests[1] == 0


def read_response(client: Socket) -> list[Any]:
    """One response as h11 reads it; adjacent pieces of its body are one."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(bytes(client.outbox))
    if client.closed or client.ended:
        parser.receive_data(b"")
    found: list[Any] = []
    body = b""
    while True:
        event = parser.next_event()
        if isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert not parser.trailing_data[0]
            return [*found, body, list(event.headers)]
        else:
            assert isinstance(event, h11.InformationalResponse | h11.Response), event
            found.append((event.status_code, list(event.headers)))


@PLENTY
@given(st.data(), responses())
def test_any_split_of_a_valid_response_gives_the_same_answer(data: st.DataObject, answer: Answered) -> None:
    split = responded(answer, data.draw(splits(answer.raw)))
    assert split == responded(answer, [answer.raw])
    expected = h11.Connection(h11.CLIENT)
    expected.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    expected.send(h11.EndOfMessage())
    origin = Socket()
    origin.outbox += answer.raw
    origin.closed = answer.fin
    came = read_response(origin)
    assert [status for status, _ in split[0][:-2]] == [status for status, _ in came[:-2]]
    assert split[0][-2:] == came[-2:]
    assert [name for name, _ in split[0][-3][1]].count(b"date") == 1
    hop_by_hop = KEPT_HERE | {b"content-length"}
    assert [f for f in split[0][-3][1] if f[0] not in hop_by_hop | {b"date"}] == [
        f for f in came[-3][1] if f[0] not in hop_by_hop
    ]


def mutated(raw: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """The bytes with pieces replaced."""
    for at, length, new in changes:
        at %= len(raw) + 1
        raw = raw[:at] + new + raw[at + length :]
    return raw


_changes = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 3), st.sampled_from(SPECIAL) | st.binary(max_size=2)), min_size=1, max_size=4
)


@PLENTY
@given(st.data(), st.lists(requests(), min_size=1, max_size=2), _changes)
def test_mutated_requests_raise_nothing_and_whatever_goes_upstream_is_read_by_h11(
    data: st.DataObject, sent: list[Sent], changes: list[tuple[int, int, bytes]]
) -> None:
    raw = mutated(b"".join(one.raw for one in sent), changes)
    pieces = data.draw(splits(raw))
    messages, answers, closed = through(pieces, large=data.draw(st.sampled_from((1, LARGE))))
    whole = through([raw])
    seen, all_seen = [meaning(one) for one in messages], [meaning(one) for one in whole[0]]
    assert seen == all_seen[: len(seen)]
    # A refusal before the end of the body costs the connection, so what came in one piece may get further, but never elsewhere.
    refused = closed and statuses(answers)[-1:] not in ([b"200"], [])
    assert seen == all_seen or refused
    assert refused or (statuses(answers), closed) == (statuses(whole[1]), whole[2])


def statuses(answers: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answers)


@PLENTY
@given(st.data(), responses(), _changes, st.sampled_from(("fin", "reset", "open")))
def test_mutated_answers_raise_nothing_and_end_for_the_client(
    data: st.DataObject, answer: Answered, changes: list[tuple[int, int, bytes]], end: str
) -> None:
    memory = Memory(LIMITS)
    raw = mutated(answer.raw, changes)
    function = Scripted(memory, data.draw(splits(raw)), fin=end == "fin", reset=end == "reset")
    function.observe = lambda: retains_little(memory)
    client = memory.connect()
    memory.feed(client, [b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"], function)
    memory.pass_time(400, function)
    assert memory.present() == (0, 0)
    assert client.closed and client.outbox.startswith(b"HTTP/1.1 ")
    memory.close()


@PLENTY
@given(st.lists(st.binary(max_size=400) | st.sampled_from(SPECIAL), max_size=20))
def test_random_bytes_are_answered_in_order_or_not_at_all(pieces: list[bytes]) -> None:
    memory = Memory(LIMITS)
    client = memory.connect()
    memory.feed(client, pieces, lambda: retains_little(memory))
    memory.pass_time(200)
    assert client.closed
    memory.close()


def retains_little(memory: Memory) -> bool:
    assert memory.retained() <= MOST_RETAINED
    return False


START = b"POST /fn/f/x HTTP/1.1\r\nHost: h\r\n"
CHUNKS = START + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (b"", b"A"),
        (b"", b"\r\n"),
        (b"GET /fn/f/", b"x"),
        (START, b"A: b\r\n"),
        (START, b"x"),
        (CHUNKS, b"1\r\nx\r\n"),
        (CHUNKS + b"1", b";a"),
        (CHUNKS, b"0"),
        (CHUNKS + b"0\r\n", b"A: b\r\n"),
        (CHUNKS + b"0\r\n", b"A"),
        (START + b"Content-Length: 999999999\r\n\r\n", b"x" * 100),
        (b"", b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"),
    ],
    ids=lambda value: repr(value[-12:]),
)
def test_a_stream_without_end_holds_no_memory(start: bytes, again: bytes) -> None:
    memory = Memory(LIMITS, patience={"hold": 2048})
    function = Recorder(memory)
    client = memory.connect()
    most = 0
    for piece in (start, *[again * 40] * 400):
        if client.closed:
            break
        client.inbox.append(piece)
        memory.run(function)
        function.messages.clear()
        client.outbox.clear()
        most = max(most, memory.retained())
    assert most <= MOST_RETAINED
    client.fin = True
    memory.pass_time(400, function)
    memory.close()


@pytest.mark.parametrize("again", [b"A", b"A: b\r\n", b"HTTP/1.1 102 X\r\n\r\n", b"\r\n"], ids=repr)
def test_an_answer_without_end_is_a_bad_gateway(again: bytes) -> None:
    memory = Memory(LIMITS)
    function = Scripted(memory, [b"HTTP/1.1 200 OK\r\n" if again[0] == 65 else b"", *[again * 40] * 400])
    function.observe = lambda: retains_little(memory)
    client = memory.connect()
    memory.feed(client, [b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"], function)
    assert b"HTTP/1.1 502 Bad Gateway" in client.outbox
    memory.close()


@pytest.mark.parametrize("size", [2049, 100_000])
def test_a_response_head_beyond_the_limit_is_a_bad_gateway_in_one_piece_too(size: int) -> None:
    memory = Memory(LIMITS)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: %b\r\n\r\n" % (b"x" * size)
    client = memory.connect()
    memory.feed(client, [b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"], Scripted(memory, [head]))
    assert client.outbox.startswith(b"HTTP/1.1 502 ")
    memory.close()


@pytest.mark.parametrize(("empty", "status"), [(0, b"200"), (1, b"200"), (2, b"400")])
@pytest.mark.parametrize("step", [1, 2, 3, 99])
def test_one_empty_line_before_a_request_is_forgiven_and_no_second_one_however_they_arrive(
    empty: int, status: bytes, step: int
) -> None:
    raw = b"\r\n" * empty + b"GET /fn/f HTTP/1.1\r\nHost: h\r\n\r\n"
    assert statuses(through([raw[at : at + step] for at in range(0, len(raw), step)])[1]) == [status]


def test_the_trailers_of_a_refused_request_are_not_those_of_the_next_one() -> None:
    end = b" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    messages, answers, _ = through([b"POST /fn/unknown" + end + b"X-T: secret\r\n\r\n", b"POST /fn/f" + end + b"\r\n"])
    assert statuses(answers) == [b"404", b"200"]
    assert [message.trailers for message in messages] == [[]]


def test_a_refusal_has_its_body_whatever_the_request_before_was() -> None:
    _, answers, closed = through([b"HEAD /fn/f/ HTTP/1.1\r\nHost: h\r\n\r\n", b"bad\r\n\r\n"])
    assert answers.endswith(b"}\n") and closed


@pytest.mark.parametrize("before", [True, False], ids=["before the answer", "while the answer is taken"])
@pytest.mark.parametrize("line", [b"", b"Connection: close\r\n"], ids=["kept", "closed"])
def test_a_client_that_asks_for_nothing_more_still_gets_all_of_its_answer(before: bool, line: bytes) -> None:
    memory = Memory()
    client = memory.connect(room=1000)
    function = Scripted(memory, [b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50_000])
    client.inbox.append(b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n")
    client.fin = before
    memory.run(function)
    client.fin = True
    got = b""
    while client.outbox:
        got += bytes(client.outbox)
        client.outbox.clear()
        memory.run(function)
    assert got.endswith(b"\r\n\r\n" + b"x" * 50_000)
    assert client.closed and not client.was_reset
    memory.close()
