"""Hostile answers: what a broken or malicious function sends, and what its caller may see of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["whole", "cut"]  # cut: the caller can tell that the body is not whole


@dataclass(frozen=True, slots=True)
class Answer:
    """One request, and the bytes that the function answers with."""

    name: str
    rule: str
    send: bytes
    status: int
    body: bytes | None = None  # None: not looked at
    outcome: Outcome = "whole"
    ends: bool = False  # the function closes its connection after these bytes
    request: bytes = b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n"
    has: dict[str, bytes] = field(default_factory=dict)  # a field name in lower case -> its value
    lacks: tuple[str, ...] = ()
    interim: tuple[int, ...] = ()  # interim responses that the caller sees
    reused: bool = False  # the function's connection may serve another request


def head(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A response head."""
    return b"\r\n".join([start, *lines]) + b"\r\n\r\n"


def bad(name: str, rule: str, send: bytes, ends: bool = True) -> Answer:
    """An answer that is not HTTP, or ambiguous: nothing of it is passed on."""
    return Answer(name, rule, send, 502, ends=ends, lacks=("x-evil",))


OK = head(b"Content-Length: 5") + b"hello"
HEAD = b"HEAD %s HTTP/1.1\r\nHost: h\r\n\r\n"
OLD = b"GET %s HTTP/1.0\r\nHost: h\r\n\r\n"
WEBSOCKET = (
    b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT"  # with one nothing is added to a head
CHUNKED = b"Transfer-Encoding: chunked"
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

HEADS = [
    bad("nothing at all", "RFC 9110 15.6.3", b""),
    bad("half a head", "RFC 9112 8", b"HTTP/1.1 200 OK\r\nContent-Le"),
    bad("no HTTP", "RFC 9112 4", b"hello\r\n\r\n"),
    bad("SSH", "RFC 9112 4", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    *(bad(f"status line {start!r}", "RFC 9112 4", head(b"Content-Length: 0", start=start))
      for start in (b"HTTP/1.1 200OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 OK", b"HTTP/1.1", b"HTTP/2 200 OK",
                    b"HTTP/2.0 200 OK", b"HTTP/0.9 200 OK", b"ICY 200 OK", b"http/1.1 200 OK", b"HTTP/1.1 099 X", b"HTTP/1.1 -20 X",
                    b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\rK", b" HTTP/1.1 200 OK", b"\r\nHTTP/1.1 200 OK", b"HTTP/1.1\t200 OK")),
    bad("bare LFs", "RFC 9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n"),
    bad("a bare LF after a field", "RFC 9112 2.2", b"HTTP/1.1 200 OK\r\nX-Evil: 1\nContent-Length: 0\r\n\r\n"),
    bad("line folding", "RFC 9112 5.2", head(b"X-Evil: 1\r\n 2", b"Content-Length: 0")),
    bad("a space before the colon", "RFC 9112 5.1", head(b"X-Evil : 1", b"Content-Length: 0")),
    bad("a space before the first field", "RFC 9112 2.2", head(b" X-Evil: 1", b"Content-Length: 0")),
    bad("no colon", "RFC 9112 5", head(b"X-Evil", b"Content-Length: 0")),
    bad("no field name", "RFC 9112 5", head(b": 1", b"Content-Length: 0")),
    bad("NUL in a value", "RFC 9110 5.5", head(b"X-Evil: \0", b"Content-Length: 0")),
    bad("a control character in a value", "RFC 9110 5.5", head(b"X-Evil: \x01", b"Content-Length: 0")),
    bad("a bare CR in a value", "RFC 9112 2.2", head(b"X-Evil: a\rb", b"Content-Length: 0")),
    bad("a head that never ends", "RFC 9110 15.6.3", b"HTTP/1.1 200 OK\r\n" + b"X-Evil: 1\r\n" * 20_000, ends=False),
    Answer("no reason", "RFC 9112 4", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", reused=True),
    Answer("a status nobody knows", "RFC 9110 15", head(b"Content-Length: 5", start=b"HTTP/1.1 299 Odd") + b"hello", 299, b"hello", reused=True),
]  # fmt: skip

FRAMING = [
    bad("Content-Length twice, the same", "RFC 9112 6.3", head(b"Content-Length: 5", b"Content-Length: 5") + b"hello"),
    bad("Content-Length twice, different", "RFC 9112 6.3", head(b"Content-Length: 5", b"Content-Length: 0") + b"hello"),
    *(bad(f"Content-Length: {value!r}", "RFC 9110 8.6", head(b"Content-Length: " + value) + b"hello")
      for value in (b"5, 5", b"+5", b"-5", b"0x5", b"", b"five", b"5.0", b"9" * 30)),
    bad("Content-Length and Transfer-Encoding", "RFC 9112 6.3", head(b"Content-Length: 5", CHUNKED) + b"0\r\n\r\n"),
    bad("Transfer-Encoding twice", "RFC 9112 6.1", head(CHUNKED, CHUNKED) + b"0\r\n\r\n"),
    *(bad(f"Transfer-Encoding: {value!r}", "RFC 9112 6.1", head(b"Transfer-Encoding: " + value) + b"0\r\n\r\n")
      for value in (b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked", b"", b"chunked;q=1")),
    bad("Transfer-Encoding in HTTP/1.0", "RFC 9112 6.1", head(CHUNKED, start=b"HTTP/1.0 200 OK") + b"0\r\n\r\n"),
    Answer("chunks", "RFC 9112 7.1", head(CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n", 200, b"hello", reused=True),
    Answer("chunks for an HTTP/1.0 caller", "RFC 9112 7.1", head(CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n", 200, b"hello", request=OLD,
           lacks=("transfer-encoding",), reused=True),
    Answer("a body that the end of the connection ends", "RFC 9112 6.3", head() + b"hello", 200, b"hello", ends=True),
    Answer("the same in HTTP/1.0", "RFC 9112 6.3", head(start=b"HTTP/1.0 200 OK") + b"hello", 200, b"hello", ends=True),
    Answer("HTTP/1.0 with a length", "RFC 9112 6.3", head(b"Content-Length: 5", start=b"HTTP/1.0 200 OK") + b"hello", 200, b"hello"),
    Answer("HTTP/1.0 with keep-alive", "RFC 9112 9.3", head(b"Content-Length: 5", b"Connection: keep-alive", start=b"HTTP/1.0 200 OK") + b"hello",
           200, b"hello", reused=True),
]  # fmt: skip

BODIES = [
    Answer("less than Content-Length says", "RFC 9112 8", head(b"Content-Length: 9") + b"hello", 200, b"hello", "cut", ends=True),
    Answer("chunks without the last one", "RFC 9112 8", head(CHUNKED) + b"5\r\nhello\r\n", 200, b"hello", "cut", ends=True),
    Answer("half a chunk", "RFC 9112 8", head(CHUNKED) + b"9\r\nhello", 200, None, "cut", ends=True),
    Answer("chunks without the last line", "RFC 9112 8", head(CHUNKED) + b"5\r\nhello\r\n0\r\n", 200, None, "cut", ends=True),
    *(Answer(f"a bad chunk: {chunk!r}", "RFC 9112 7.1", head(CHUNKED) + b"5\r\nhello\r\n" + chunk + b"\r\n0\r\n\r\n", 200, None, "cut")
      for chunk in (b"+1\r\nx", b"-1\r\nx", b"0x1\r\nx", b"g\r\nx", b"\r\nx", b"1\nx", b"1\r\nxx", b"f" * 17 + b"\r\nx")),
    Answer("a folded trailer", "RFC 9112 5.2", head(CHUNKED) + b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n", 200, None, "cut"),
    Answer("more than Content-Length says", "RFC 9112 6.3", OK + b"HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 0\r\n\r\n", 200, b"hello"),
    Answer("more behind the last chunk", "RFC 9112 7.1", head(CHUNKED) + b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", 200, b"hello"),
    Answer("204 has no body", "RFC 9112 6.3", head(start=b"HTTP/1.1 204 No Content"), 204, b"", reused=True),
    Answer("204 with bytes", "RFC 9112 6.3", head(start=b"HTTP/1.1 204 No Content") + b"hello", 204, b""),
    Answer("304 with a length has no body", "RFC 9112 6.3", head(b"Content-Length: 5", start=b"HTTP/1.1 304 Not Modified"), 304, b"", reused=True),
    Answer("304 with bytes", "RFC 9112 6.3", head(b"Content-Length: 5", start=b"HTTP/1.1 304 Not Modified") + b"hello", 304, b""),
    Answer("the answer to HEAD has no body", "RFC 9110 9.3.2", head(b"Content-Length: 5"), 200, b"", request=HEAD,
           has={"content-length": b"5"}, reused=True),
    Answer("the answer to HEAD, chunked", "RFC 9110 9.3.2", head(CHUNKED), 200, b"", request=HEAD, reused=True),
    Answer("the answer to HEAD with bytes", "RFC 9110 9.3.2", OK, 200, b"", request=HEAD),
]  # fmt: skip

INTERIM = [
    Answer("early hints", "RFC 8297", HINT + OK, 200, b"hello", interim=(103,), reused=True),
    Answer("sixteen interim responses", "docs/architecture.md", HINT * 16 + OK, 200, b"hello", interim=(103,) * 16, reused=True),
    Answer("no interim response for HTTP/1.0", "RFC 9110 15.2", HINT + OK, 200, b"hello", request=OLD, reused=True),
    Answer("101 nobody asked for", "RFC 9110 15.2.2", head(b"Connection: Upgrade", b"Upgrade: websocket", start=b"HTTP/1.1 101 Go"), 502),
    Answer("101 to another protocol", "RFC 9110 15.2.2", head(b"Connection: Upgrade", b"Upgrade: h2c", start=b"HTTP/1.1 101 Go"), 502, request=WEBSOCKET),
    Answer("101 that names no protocol", "RFC 9110 15.2.2", head(b"Connection: Upgrade", start=b"HTTP/1.1 101 Go"), 502, request=WEBSOCKET),
    Answer("an upgrade that is declined", "RFC 9110 7.8", OK, 200, b"hello", request=WEBSOCKET, reused=True),
]  # fmt: skip

FIELDS = [
    Answer("Connection names a field", "RFC 9110 7.6.1", head(b"Connection: X-Hop", b"X-Hop: 1", b"Content-Length: 5") + b"hello", 200, b"hello",
           lacks=("x-hop",), reused=True),
    Answer("Keep-Alive stays here", "RFC 9110 7.6.1", head(b"Connection: keep-alive", b"Keep-Alive: timeout=60", b"Content-Length: 5") + b"hello",
           200, b"hello", lacks=("keep-alive",), reused=True),
    Answer("Proxy-Authenticate stays here", "RFC 9110 11.7.1", head(b"Proxy-Authenticate: Basic", b"Content-Length: 0"), 200, b"",
           lacks=("proxy-authenticate",), reused=True),
    Answer("what stays here is not made up for by spaces", "RFC 9110 7.6.1",  # the head that goes on is as long as the one that came
           head(DATE, b"TE: a", *(b"A%d:1" % n for n in range(7)), b"Content-Length: 5") + b"hello", 200, b"hello", lacks=("te",), reused=True),
    Answer("… nor in an answer that is not collected", "RFC 9110 7.6.1",
           head(DATE, b"TE: a", *(b"A%d:1" % n for n in range(7)), b"Content-Length: 8000") + b"h" * 8000, 200, b"h" * 8000, lacks=("te",), reused=True),
    Answer("Upgrade stays here", "RFC 9110 7.8", head(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 0"), 200, b"",
           lacks=("upgrade",), reused=True),
    Answer("426 says to what", "RFC 9110 15.5.22",
           head(b"Connection: Upgrade", b"Upgrade: h2c, websocket", b"Content-Length: 0", start=b"HTTP/1.1 426 Upgrade Required"), 426, b"",
           has={"upgrade": b"websocket", "connection": b"Upgrade"}, reused=True),
    Answer("Connection: close is the function's own", "RFC 9112 9.6", head(b"Connection: close", b"Content-Length: 5") + b"hello", 200, b"hello"),
    Answer("fields in any case and order go on", "RFC 9110 5.3", head(b"SET-cookie: a", b"set-COOKIE: b", b"Content-Length: 0"), 200, b"", reused=True),
    Answer("obs-text goes on", "RFC 9110 5.5", head(b"A: \xe4", b"Content-Length: 0"), 200, b"", has={"a": b"\xe4"}, reused=True),
]  # fmt: skip

CASES: list[Answer] = [
    *HEADS, *FRAMING, *BODIES, *INTERIM, *FIELDS,
    Answer("seventeen interim responses", "docs/architecture.md", HINT * 17 + OK, 502, interim=(103,) * 16),
]  # fmt: skip
