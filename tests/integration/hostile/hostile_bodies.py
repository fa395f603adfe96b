"""Hostile bodies: lengths, transfer codings, chunks, trailers, truncation, pipelines."""

from __future__ import annotations

from tests.integration.hostile.hostile_cases import Case, Seen, head, passed, post, refused

HELLO = Seen(b"POST", b"/x", b"hello")
CHUNKED = b"Transfer-Encoding: chunked"


def length(value: bytes) -> bytes:
    """A POST with this Content-Length and five bytes."""
    return post(b"Content-Length: " + value, body=b"hello")


def coded(*lines: bytes, version: bytes = b"1.1") -> bytes:
    """A POST whose body is "hello", chunked."""
    return post(*lines, body=b"5\r\nhello\r\n0\r\n\r\n", version=version)


def chunks(body: bytes) -> bytes:
    """A chunked POST with this body as it is."""
    return post(CHUNKED, body=body)


LENGTHS = [
    refused("Content-Length twice, the same", "RFC 9112 6.3", post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
    refused("Content-Length twice, different", "RFC 9112 6.3", post(b"Content-Length: 5", b"Content-Length: 0", body=b"hello")),
    refused("Content-Length twice in two cases", "RFC 9112 6.3", post(b"content-length: 5", b"CONTENT-LENGTH: 6", body=b"hello")),
    *(refused(f"Content-Length: {value!r}", "RFC 9110 8.6", length(value))
      for value in (b"5, 5", b"5,6", b"+5", b"-5", b"0x5", b"5.0", b"5e0", b"", b"five", b"5;", b"1_0", b"5 5", b"\xd9\xa5", b"9" * 30)),
    passed("spaces around Content-Length", "RFC 9112 5", length(b" \t5 \t"), HELLO),
    passed("leading zeros in Content-Length", "RFC 9110 8.6", length(b"0005"), HELLO),
    passed("Content-Length of nothing", "RFC 9110 8.6", post(b"Content-Length: 0"), Seen(b"POST", b"/x")),
    passed("a POST with no length has no body", "RFC 9112 6.3", post(), Seen(b"POST", b"/x")),
    passed("a GET with a body", "RFC 9110 9.3.1", head(b"Content-Length: 5") + b"hello", Seen(b"GET", b"/x", b"hello")),
]  # fmt: skip

CODINGS = [
    refused("Content-Length, then Transfer-Encoding", "RFC 9112 6.3", coded(b"Content-Length: 5", CHUNKED)),
    refused("Transfer-Encoding, then Content-Length", "RFC 9112 6.3", coded(CHUNKED, b"Content-Length: 5")),
    refused("Transfer-Encoding in HTTP/1.0", "RFC 9112 6.1", coded(CHUNKED, version=b"1.0")),
    refused("Transfer-Encoding twice", "RFC 9112 6.1", coded(CHUNKED, CHUNKED)),
    refused("chunked and then gzip in two lines", "RFC 9112 6.1", coded(CHUNKED, b"Transfer-Encoding: gzip")),
    *(refused(f"Transfer-Encoding: {value!r}", "RFC 9112 6.1", coded(b"Transfer-Encoding: " + value), either=(501,))
      for value in (b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"identity", b"chunked, identity", b"xchunked", b"chunkedx",
                    b"chunked;q=1", b'"chunked"', b"", b",chunked", b"chunked,", b"chunked\x0b", b"\x00chunked", b"ch\xc3\xbcnked")),
    passed("chunked", "RFC 9112 7.1", coded(CHUNKED), HELLO),
    passed("Chunked, in capitals and spaces", "RFC 9112 7", coded(b"TRANSFER-ENCODING:  Chunked \t"), HELLO),
]  # fmt: skip

CHUNKS = [
    *(refused(f"a chunk size of {size!r}", "RFC 9112 7.1", chunks(size + b"\r\nhello\r\n0\r\n\r\n"))
      for size in (b"+5", b"-5", b"0x5", b"5h", b"g", b"", b" 5", b"5\0", b"\t5", b"5,5", b"00000000000000000000000000005", b"f" * 17, b"5_0")),
    refused("a chunk size ended by a bare LF", "RFC 9112 7.1", chunks(b"5\nhello\r\n0\r\n\r\n")),
    refused("a chunk size ended by a bare CR", "RFC 9112 7.1", chunks(b"5\rhello\r\n0\r\n\r\n")),
    refused("a chunk longer than its size", "RFC 9112 7.1", chunks(b"5\r\nhelloo\r\n0\r\n\r\n")),
    refused("a chunk without its line end", "RFC 9112 7.1", chunks(b"5\r\nhello0\r\n\r\n")),
    refused("a chunk ended by a bare LF", "RFC 9112 7.1", chunks(b"5\r\nhello\n0\r\n\r\n")),
    refused("a chunk ended by LF CR", "RFC 9112 7.1", chunks(b"5\r\nhello\n\r0\r\n\r\n")),
    refused("a NUL in a chunk extension", "RFC 9112 7.1.1", chunks(b"5;a=\0\r\nhello\r\n0\r\n\r\n")),
    refused("a bare CR in a chunk extension", "RFC 9112 7.1.1", chunks(b"5;a=b\rc\r\nhello\r\n0\r\n\r\n")),
    refused("a bare LF in a chunk extension", "RFC 9112 7.1.1", chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n")),
    refused("a chunk extension without end", "RFC 9112 7.1.1", chunks(b"5;" + b"a" * 100_000), either=(431,)),
    refused("a trailer without a colon", "RFC 9112 7.1.2", chunks(b"5\r\nhello\r\n0\r\nabc\r\n\r\n")),
    refused("a trailer with a bare LF", "RFC 9112 7.1.2", chunks(b"5\r\nhello\r\n0\r\nA: b\nC: d\r\n\r\n")),
    refused("a folded trailer", "RFC 9112 7.1.2", chunks(b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n")),
    refused("trailers without end", "RFC 9112 7.1.2", chunks(b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 20_000), 431),
    passed("a chunk extension", "RFC 9112 7.1.1", chunks(b'5;a=b;c="d"\r\nhello\r\n0\r\n\r\n'), HELLO),
    passed("a chunk size in capitals with zeros", "RFC 9112 7.1", chunks(b"000A\r\nhellohello\r\n0\r\n\r\n"), Seen(b"POST", b"/x", b"hello" * 2)),
    passed("many chunks", "RFC 9112 7.1", chunks(b"1\r\nh\r\n" * 500 + b"0\r\n\r\n"), Seen(b"POST", b"/x", b"h" * 500)),
    passed("several zeros as the last chunk", "RFC 9112 7.1", chunks(b"5\r\nhello\r\n000\r\n\r\n"), HELLO),
    passed("framing in a trailer is dropped", "RFC 9110 6.5.1", chunks(b"5\r\nhello\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\n\r\n"),
           Seen(b"POST", b"/x", b"hello", lacks=("content-length",))),
    passed("routing in a trailer is dropped", "RFC 9110 6.5.1", chunks(b"5\r\nhello\r\n0\r\nHost: evil\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"),
           Seen(b"POST", b"/x", b"hello", has={"host": b"h"})),
]  # fmt: skip

PIPELINES = [
    passed(
        "two requests at once",
        "RFC 9112 9.3.2",
        head() + head(start=b"GET /fn/f/y HTTP/1.1"),
        Seen(b"GET", b"/x"),
        Seen(b"GET", b"/y"),
    ),
    passed(
        "a body, then a request", "RFC 9112 9.3.2", post(b"Content-Length: 5", body=b"hello") + head(), HELLO, Seen(b"GET", b"/x")
    ),
    passed("chunks, then a request", "RFC 9112 9.3.2", coded(CHUNKED) + head(), HELLO, Seen(b"GET", b"/x")),
    passed(
        "a request as a body", "RFC 9112 6", post(b"Content-Length: %d" % len(head()), body=head()), Seen(b"POST", b"/x", head())
    ),
    passed(
        "a last chunk as a body", "RFC 9112 6", post(b"Content-Length: 5", body=b"0\r\n\r\n"), Seen(b"POST", b"/x", b"0\r\n\r\n")
    ),
    Case("a good request, then a bad one", "RFC 9112 9.3.2", head() + head(b"A : b"), (200, 400), (Seen(b"GET", b"/x"),)),
    Case(
        "more bytes than Content-Length says",
        "RFC 9112 6.3",
        post(b"Content-Length: 5", body=b"helloworld\r\n\r\n"),
        (200, 400),
        (HELLO,),
    ),
    Case(
        "nothing behind a request with Connection: close",
        "RFC 9112 9.6",
        head(b"Connection: close") + head(),
        (200,),
        (Seen(b"GET", b"/x"),),
    ),
    Case("nothing behind a refused request", "RFC 9112 9.3.2", head(b"A : b") + head(), (400,)),
    Case(
        "nothing behind an HTTP/1.0 request",
        "RFC 9112 9.3",
        head(start=b"GET /fn/f/x HTTP/1.0") + head(),
        (200,),
        (Seen(b"GET", b"/x"),),
    ),
]

TRUNCATED = [
    Case("a FIN inside a body", "RFC 9112 8", post(b"Content-Length: 10", body=b"hello"), (), fin=True, either=(400,)),
    Case("a FIN inside a chunk", "RFC 9112 8", chunks(b"a\r\nhello"), (), fin=True, either=(400,)),
    Case("a FIN before the last chunk", "RFC 9112 8", chunks(b"5\r\nhello\r\n"), (), fin=True, either=(400,)),
    Case("a FIN inside the trailers", "RFC 9112 8", chunks(b"5\r\nhello\r\n0\r\nA: b\r\n"), (), fin=True, either=(400,)),
    Case("a FIN inside a head", "RFC 9112 8", head()[:-2], (), fin=True, either=(400,)),
    Case("a FIN after a whole request is answered", "RFC 9112 9.6", head(), (200,), (Seen(b"GET", b"/x"),), fin=True),
    Case("a FIN after a whole body is answered", "RFC 9112 9.6", coded(CHUNKED), (200,), (HELLO,), fin=True),
    Case("a FIN after three requests", "RFC 9112 9.6", head() + coded(CHUNKED) + head(start=b"GET /fn/nosuch HTTP/1.1"), (200, 200, 404),
         (Seen(b"GET", b"/x"), HELLO), fin=True),
    Case("a FIN inside the head of a second request", "RFC 9112 8", head() + head()[:-2], (200,), (Seen(b"GET", b"/x"),), fin=True),
    Case("a FIN inside the body of a second request", "RFC 9112 8", head() + post(b"Content-Length: 10", body=b"hello"), (200,),
         (Seen(b"GET", b"/x"),), fin=True),
]  # fmt: skip

CASES: list[Case] = [*LENGTHS, *CODINGS, *CHUNKS, *PIPELINES, *TRUNCATED]
