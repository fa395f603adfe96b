"""Requests that count their hops, and targets in absolute-form: what is asked of the router, of the function, or of nobody."""

from __future__ import annotations

from tests.integration.hostile.hostile_cases import Case, Seen, head, passed, refused

ALLOWED = ("allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")


def options(*lines: bytes) -> bytes:
    """OPTIONS of /x of the function."""
    return head(*lines, start=b"OPTIONS /fn/f/x HTTP/1.1")


def trace(*lines: bytes) -> bytes:
    """TRACE of the same."""
    return head(*lines, start=b"TRACE /fn/f/x HTTP/1.1")


def left(method: bytes, count: bytes) -> Seen:
    """The function gets it with this Max-Forwards."""
    return Seen(method, b"/x", has={"max-forwards": count})


HOPS = [
    Case("OPTIONS that ends here", "RFC 9110 7.6.2", options(b"Max-Forwards: 0"), (204,), fields=(ALLOWED,)),
    Case("OPTIONS that ends here, in many digits", "RFC 9110 7.6.2", options(b"max-FORWARDS:000"), (204,), fields=(ALLOWED,)),
    Case("OPTIONS that ends here, behind one that does not", "RFC 9110 7.6.2", options(b"Max-Forwards: 1") + options(b"Max-Forwards: 0"), (200, 204),
         (left(b"OPTIONS", b"0"),), fields=(ALLOWED,)),
    Case("TRACE that ends here is not sent back", "RFC 9110 9.3.8", trace(b"Max-Forwards: 0", b"Cookie: secret"), (405,), fields=(ALLOWED,)),
    passed("OPTIONS with one hop left", "RFC 9110 7.6.2", options(b"Max-Forwards: 1"), left(b"OPTIONS", b"0")),
    passed("TRACE with some left", "RFC 9110 7.6.2", trace(b"Max-Forwards: 0010"), left(b"TRACE", b"9")),
    passed("the same twice counts once each", "RFC 9110 7.6.2", options(b"Max-Forwards: 5") * 2, left(b"OPTIONS", b"4"), left(b"OPTIONS", b"4")),
    passed("the same fields with another path count once each", "RFC 9110 7.6.2",
           options(b"Max-Forwards: 5") + head(b"Max-Forwards: 5", start=b"OPTIONS /fn/f/y HTTP/1.1"), left(b"OPTIONS", b"4"),
           Seen(b"OPTIONS", b"/y", has={"max-forwards": b"4"})),
    passed("known fields that end in a count", "RFC 9110 7.6.2",
           b"".join(head(b"User-Agent: " + b"x" * 80, b"Max-Forwards: 5", b"A: %d" % n, start=start + b" /fn/f/x HTTP/1.1")
                    for n, start in enumerate((b"GET", b"GET", b"GET", b"OPTIONS", b"GET"))),
           left(b"GET", b"5"), left(b"GET", b"5"), left(b"GET", b"5"), left(b"OPTIONS", b"4"), left(b"GET", b"5")),
    passed("an absurd count has a bound", "RFC 9110 7.6.2", options(b"Max-Forwards: " + b"9" * 5000), left(b"OPTIONS", b"999999999")),
    passed("a count in absolute-form", "RFC 9110 7.6.2", head(b"Max-Forwards: 2", start=b"OPTIONS http://h/fn/f/x HTTP/1.1"), left(b"OPTIONS", b"1")),
    passed("GET does not count", "RFC 9110 7.6.2", head(b"Max-Forwards: 0"), left(b"GET", b"0")),
    passed("OPTIONS without a count", "RFC 9110 9.3.7", options(), Seen(b"OPTIONS", b"/x", lacks=("max-forwards",))),
    passed("a value that only speaks of a count", "RFC 9110 7.6.2", options(b"A: max-forwards: 0"), Seen(b"OPTIONS", b"/x", lacks=("max-forwards",))),
    *(refused(f"Max-Forwards: {value!r}", "RFC 9110 7.6.2", options(b"Max-Forwards: " + value))
      for value in (b"", b"-1", b"+1", b"1.0", b"0x1", b"1, 1", b"one", b"1;q=1", b"\xb2")),
    refused("Max-Forwards twice", "RFC 9110 7.6.2", options(b"Max-Forwards: 1", b"Max-Forwards: 1")),
    refused("Connection names Max-Forwards", "RFC 9110 7.6.1", options(b"Connection: Max-Forwards", b"Max-Forwards: 1")),
    Case("OPTIONS of the router", "RFC 9110 9.3.7", head(start=b"OPTIONS * HTTP/1.1"), (204,), closed=False, fields=(ALLOWED,)),
    Case("OPTIONS of the router, in absolute-form", "RFC 9112 3.2.4", head(start=b"OPTIONS http://h HTTP/1.1"), (204,), closed=False, fields=(ALLOWED,)),
]  # fmt: skip

ABSOLUTE = [
    *(passed(f"{target.decode()} for Host: {host.decode()}", "RFC 9110 4.2.3",
             head(start=b"GET " + target + b"/fn/f/x HTTP/1.1", host=b"Host: " + host), Seen(b"GET", b"/x", has={"host": host}))
      for target, host in ((b"http://h:80", b"h"), (b"http://h", b"h:80"), (b"HTTP://H", b"h"), (b"http://h:8080", b"H:8080"), (b"http://[::1]:80", b"[::1]"))),
    *(refused(f"{target.decode()} for Host: {host.decode()}", "RFC 9112 3.2.2",
              head(start=b"GET " + target + b"/fn/f/x HTTP/1.1", host=b"Host: " + host))
      for target, host in ((b"http://h:443", b"h"), (b"http://h", b"h:443"), (b"http://h:8080", b"h"), (b"http://h:80:80", b"h"), (b"http://[::1]", b"[::2]"))),
    refused("https without TLS", "RFC 9110 7.4", head(start=b"GET https://h/fn/f/x HTTP/1.1"), 421),
    refused("https without TLS, with its port", "RFC 9110 7.4", head(start=b"GET HTTPS://h:443/fn/f/x HTTP/1.1"), 421),
    Case("HTTP/1.0 in absolute-form without Host", "RFC 9112 3.2.2", head(start=b"GET http://a.example/fn/f/x HTTP/1.0", host=b""), (200,),
         (Seen(b"GET", b"/x", has={"host": b"a.example"}),)),
    refused("HTTP/1.0 in absolute-form of a user, without Host", "RFC 9110 4.2.4", head(start=b"GET http://u@h/fn/f/x HTTP/1.0", host=b"")),
    refused("HTTP/1.1 in absolute-form without Host", "RFC 9112 3.2", head(start=b"GET http://h/fn/f/x HTTP/1.1", host=b"")),
]  # fmt: skip

HEADS = [  # no answer to HEAD has a body, whoever answers: what followed the head would be left over behind it
    refused("HEAD with a malformed field", "RFC 9110 9.3.2", head(b"A : b", start=b"HEAD /fn/f/x HTTP/1.1")),
    refused(
        "HEAD behind an empty line, without Host", "RFC 9110 9.3.2", b"\r\n" + head(start=b"HEAD /fn/f/x HTTP/1.1", host=b"")
    ),
    refused("HEAD of an expectation nobody knows", "RFC 9110 9.3.2", head(b"Expect: x", start=b"HEAD /fn/f/x HTTP/1.1"), 417),
    Case("HEAD of no function", "RFC 9110 9.3.2", head(start=b"HEAD /fn/nosuch HTTP/1.1"), (404,), closed=False),
]

CASES: list[Case] = [*HOPS, *ABSOLUTE, *HEADS]
