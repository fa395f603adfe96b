"""One fuzzer input, and what must hold for it: the entry point that atheris, Hypothesis and the regression corpus share.

The first byte chooses the side (even: a client's stream, odd: a function's answer), the second how the stream is cut, the rest
is the stream. Whatever it is, the router raises nothing, comes to rest, keeps a bounded number of bytes, sends the function only
what h11 reads, gives every slot back, and ends every connection once time has gone by.
"""

from __future__ import annotations

import random
from itertools import pairwise

import h11

from router.http1.sender import Limits
from router.wire.buffer import LARGE
from tests.fuzz.functions import Recorder, Scripted
from tests.fuzz.memory import Memory, Socket

LIMITS = Limits(head=2048, fields=40, target=512)
HOLD = 2048  # bytes of a body that are read ahead
KEPT = 3 * LIMITS.head + 4096 + 16384 + HOLD  # bytes: heads on both sides, a size line, trailers
ASKED = (
    b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HEAD /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /fn/f/x HTTP/1.0\r\n\r\n",
    b"POST /fn/f/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n\r\n",
)


def one_input(data: bytes) -> None:
    """Run one input; raises AssertionError, or whatever the router raised."""
    if len(data) < 3:
        return
    side, cut, stream = data[0], data[1], data[2:]
    pieces = cuts(stream, cut)
    if side % 2:
        answer(pieces, ASKED[side // 2 % len(ASKED)], end=side // 16 % 3)
    else:
        request(pieces, fin=bool(side & 2), replica=not side & 4, large=1 if side & 8 else LARGE)


def cuts(stream: bytes, seed: int) -> list[bytes]:
    """The stream in pieces: whole for 0, byte by byte for 1, else at places that the seed decides."""
    if seed < 2:
        return [stream] if not seed else [stream[at : at + 1] for at in range(len(stream))]
    draw = random.Random(seed)
    places = sorted({0, len(stream), *(draw.randrange(len(stream)) for _ in range(seed % 13))})
    return [stream[a:b] for a, b in pairwise(places)]


def request(pieces: list[bytes], fin: bool, replica: bool, large: int) -> None:
    """A client's stream, to a function that is ready or to one that is not."""
    memory = Memory(LIMITS, patience={"hold": HOLD}, large=large)
    if not replica:
        memory.put()
    function = Recorder(memory)
    client = memory.connect()
    longest = max(map(len, pieces))

    def between() -> bool:
        assert memory.retained() <= KEPT + longest, "the router holds more than its limits say"
        return function()

    memory.feed(client, pieces, between)
    client.fin = client.fin or fin
    memory.wind_up(client, 200, between)
    assert memory.present() == (0, 0), "a request is never over"
    assert client.closed, "a connection is never over"
    memory.close()


def answer(pieces: list[bytes], asked: bytes, end: int) -> None:
    """A function's answer: 0 its connection stays open behind it, 1 FIN, 2 RST."""
    memory = Memory(LIMITS, patience={"hold": HOLD})
    function = Scripted(memory, pieces, fin=end == 1, reset=end == 2)
    client = memory.connect()
    longest = max(map(len, pieces))

    def between() -> bool:
        assert memory.retained() <= KEPT + longest, "the router holds more than its limits say"
        return function()

    memory.feed(client, [asked], between)
    memory.wind_up(client, 400, between)
    if not client.closed:  # a tunnel, or a stream that its function never ends
        client.reset = True
        memory.run(between)
    assert memory.present() == (0, 0), "a request is never over"
    check_answer(client, asked)
    memory.close()


def check_answer(client: Socket, asked: bytes) -> None:
    """What the client got is one answer that h11 reads, whole or visibly broken off."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    method, target, _ = asked.split(b" ", 2)
    upgrade = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")] if b"Upgrade" in asked else []
    parser.send(h11.Request(method=method, target=target, headers=[("Host", "h"), *upgrade]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(bytes(client.outbox))
    while (event := parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
        if isinstance(event, h11.EndOfMessage):
            assert not parser.trailing_data[0], "more than one answer to one request"
            return
    if event is h11.PAUSED:
        return  # 101: what follows is the tunnel's
    assert client.outbox, "no answer"
