"""What clients ask and functions answer, written so that each byte tells whose it is.

A request's target and body name its tag; an answer's body repeats a number that no other answer has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.chaos.draws import Draws

SIZES = (0, 1, 3, 100, 5000, 20_000, 70_000)  # around SMALL, LARGE and `hold`
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
ONCE = (b"POST", b"PATCH")
BAD = (
    b"GET /fn/f/x HTTP/1.1\r\nHost : h\r\n\r\n",
    b"get / HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\0\x01\0",
    b"GET / HTTP/1.1\nHost: h\n\n",
)
EXTRA = (b"", b"X-A: b\r\n", b"Connection: keep-alive\r\n", b"Cookie: a=b\r\nUser-Agent: c\r\n", b"Connection: X-A\r\nX-A: b\r\n")


@dataclass
class Ask:
    """One request; a client may send it again and again, byte for byte."""

    tag: bytes
    method: bytes = b"GET"
    function: bytes = b"f"
    body: bytes = b""
    chunked: bool = False
    minor: int = 1
    close: bool = False
    expect: bool = False
    upgrade: bool = False
    bad: bool = False  # no HTTP
    trailers: list[bytes] = field(default_factory=list)  # their values
    raw: bytes = b""
    head: int = 0  # bytes of the head in `raw`
    sent: int = 0  # times that some of it was sent

    @property
    def final(self) -> bool:
        """The connection ends with it, as HTTP or at all."""
        return self.close or self.upgrade or self.bad or not self.minor


@dataclass
class Answer:
    """What a function said to one request."""

    number: int
    ask: Ask
    status: int = 200
    body: bytes = b""
    raw: bytes = b""
    keep: bool = True
    closing: bool = False  # its body ends with the connection
    whole: bool = True  # nothing is amiss with it
    tunnel: bytes = b""  # what the function says after a 101


def draw_ask(draws: Draws, tag: bytes, faults: frozenset[str], last: bool) -> Ask:
    """A request as clients send them."""
    if last and "hostile" in faults and draws.chance(20):
        raw = draws.pick(BAD)
        return Ask(tag, bad=True, close=True, raw=raw, head=len(raw))
    # Of a HEAD that is answered 408 while its head is coming, only its reader does not know that it has a body.
    methods = tuple(one for one in METHODS if one != b"HEAD" or "time" not in faults)
    ask = Ask(tag, draws.pick(methods), draws.pick((b"f", b"f", b"g", b"nobody")))
    if ask.method not in (b"GET", b"HEAD") or draws.chance(10):
        size = draws.pick(SIZES)
        ask.body = (b"<%b>" % tag * (size // len(tag) + 1))[:size]
        ask.chunked = draws.chance(40)
    ask.minor = 0 if last and not ask.chunked and draws.chance(20) else 1
    ask.expect = bool(ask.body and ask.minor) and draws.chance(15)
    ask.close = last and draws.chance(30)
    ask.upgrade = last and not (ask.body or ask.chunked) and ask.method == b"GET" and ask.function == b"f" and draws.chance(30)
    _write(ask, draws)
    return ask


def _write(ask: Ask, draws: Draws) -> None:
    lines = [b"%b /fn/%b/%b HTTP/1.%d\r\nHost: h\r\n" % (ask.method, ask.function, ask.tag, ask.minor), draws.pick(EXTRA)]
    if ask.upgrade:
        lines[1] = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    elif ask.close:
        lines[1] = b"Connection: close\r\n"
    if ask.expect:
        lines.append(b"Expect: 100-continue\r\n")
    if ask.chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif ask.body or ask.method in ONCE:
        lines.append(b"Content-Length: %d\r\n" % len(ask.body))
    head = b"".join(lines) + b"\r\n"
    head = draws.pick((b"", b"", b"", b"\r\n")) + head  # which is forgiven (RFC 9112 2.2)
    ask.head = len(head)
    ask.trailers = [ask.tag] if ask.chunked and draws.chance(30) else []
    ask.raw = head + (in_chunks(draws, ask.body, ask.trailers) if ask.chunked else ask.body)


def in_chunks(draws: Draws, body: bytes, trailers: list[bytes]) -> bytes:
    """A body in chunks of any size."""
    pieces = []
    while body:
        size = draws.size(len(body))
        pieces.append(b"%x\r\n%b\r\n" % (size, body[:size]))
        body = body[size:]
        if len(pieces) == 5:
            pieces += [b"%x\r\n%b\r\n" % (len(body), body)] if body else []
            break
    return b"".join(pieces) + b"0\r\n" + b"".join(b"X-T: %b\r\n" % value for value in trailers) + b"\r\n"


def draw_answer(draws: Draws, number: int, ask: Ask) -> Answer:
    """A good answer to it."""
    answer = Answer(number, ask, draws.pick((200, 200, 404, 204, 304, 500)))
    if ask.upgrade and ask.minor and draws.chance(80):
        answer.status, answer.keep = 101, False
        answer.tunnel = b"%08d" % number * draws.size(3000)
        answer.raw = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        return answer
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * draws.pick((0, 0, 0, 1, 2))
    lines = [
        b"HTTP/1.1 %d X\r\n" % answer.status,
        draws.pick((b"", b"X-A: b\r\n", b"Connection: keep-alive\r\n", b"Connection: A\r\nA: b\r\n")),
    ]
    payload = b""
    bodied = answer.status not in (204, 304)
    if bodied:
        answer.body = b"%08d" % number * (1 + draws.pick((0, 0, 1, 12, 600, 3000, 9000)))
        framing = draws.pick(("length", "length", "chunked", "close"))
        if framing == "length":
            lines.append(b"Content-Length: %d\r\n" % len(answer.body))
            payload = answer.body
        elif framing == "chunked":
            lines.append(b"Transfer-Encoding: chunked\r\n")
            payload = in_chunks(draws, answer.body, draws.pick(([], [b"t"])))
        else:
            answer.closing, payload = ask.method != b"HEAD", answer.body
            answer.keep = not answer.closing
        if ask.method == b"HEAD":
            answer.body = payload = b""
    elif draws.chance(50):
        lines.append(b"X-Number: %d\r\n" % number)
    if draws.chance(10):
        lines.append(b"Connection: close\r\n")
        answer.keep = False
    answer.raw = interim + b"".join(lines) + b"\r\n" + payload
    return answer
