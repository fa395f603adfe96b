"""Hostile heads: line ends, field lines, start lines, targets, Host."""

from __future__ import annotations

from tests.integration.hostile.hostile_cases import Case, Seen, head, passed, refused

X = Seen(b"GET", b"/x")

LINES = [
    refused("bare LF after the request line", "RFC 9112 2.2", b"GET /fn/f/x HTTP/1.1\nHost: h\r\n\r\n"),
    refused("bare LF after a field line", "RFC 9112 2.2", b"GET /fn/f/x HTTP/1.1\r\nHost: h\nA: b\r\n\r\n"),
    refused("bare LF as the blank line", "RFC 9112 2.2", b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\nA: b\r\n\r\n"),
    refused("only bare LFs", "RFC 9112 2.2", b"GET /fn/f/x HTTP/1.1\nHost: h\n\n\r\n\r\n"),
    refused("bare CR in a field value", "RFC 9112 2.2", head(b"A: b\rc")),
    refused("bare CR in the request line", "RFC 9112 2.2", head(start=b"GET /fn/f/x\r HTTP/1.1")),
    refused("CR CR LF", "RFC 9112 2.2", b"GET /fn/f/x HTTP/1.1\r\r\nHost: h\r\n\r\n"),
    refused("line folding with a space", "RFC 9112 5.2", head(b"A: b\r\n c")),
    refused("line folding with a tab", "RFC 9112 5.2", head(b"A: b\r\n\tc")),
    refused("line folding of Transfer-Encoding", "RFC 9112 5.2", head(b"Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n"),
    refused("a space before the first field", "RFC 9112 2.2", head(b"A: b", host=b" Host: h")),
    refused("space before the colon", "RFC 9112 5.1", head(b"A : b")),
    refused("tab before the colon", "RFC 9112 5.1", head(b"A\t: b")),
    refused("space before the colon of Content-Length", "RFC 9112 5.1", head(b"Content-Length : 3") + b"abc"),
    refused("space before the colon of Transfer-Encoding", "RFC 9112 5.1", head(b"Transfer-Encoding : chunked") + b"0\r\n\r\n"),
    refused("NUL in a value", "RFC 9110 5.5", head(b"A: b\0c")),
    refused("NUL in a name", "RFC 9110 5.1", head(b"A\0: b")),
    refused("NUL in the target", "RFC 9112 3", head(start=b"GET /fn/f/\0 HTTP/1.1")),
    refused("control character 0x01 in a value", "RFC 9110 5.5", head(b"A: \x01")),
    refused("vertical tab in a value", "RFC 9110 5.5", head(b"A: b\x0bc")),
    refused("escape in a value", "RFC 9110 5.5", head(b"A: \x1b[31m")),
    refused("DEL in a value", "RFC 9110 5.5", head(b"A: \x7f")),
    refused("no field name", "RFC 9112 5", head(b": b")),
    refused("no colon", "RFC 9112 5", head(b"Abc")),
    refused("a space in a name", "RFC 9110 5.1", head(b"A B: c")),
    refused("a parenthesis in a name", "RFC 9110 5.6.2", head(b"A(: c")),
    refused("a slash in a name", "RFC 9110 5.6.2", head(b"A/B: c")),
    refused("a quote in a name", "RFC 9110 5.6.2", head(b'A": c')),
    refused("a bracket in a name", "RFC 9110 5.6.2", head(b"A[: c")),
    refused("a brace in a name", "RFC 9110 5.6.2", head(b"A{: c")),
    refused("an at sign in a name", "RFC 9110 5.6.2", head(b"A@: c")),
    refused("a byte above 127 in a name", "RFC 9110 5.1", head(b"\xc3\xa4: c")),
    passed("obs-text in a value", "RFC 9110 5.5", head(b"A: \xe4"), Seen(b"GET", b"/x", has={"a": b"\xe4"})),
    passed("an empty value", "RFC 9110 5.5", head(b"A:"), Seen(b"GET", b"/x", has={"a": b""})),
    passed("spaces around a value", "RFC 9112 5", head(b"A: \t b \t"), Seen(b"GET", b"/x", has={"a": b"b"})),
    passed("one empty line before the request", "RFC 9112 2.2", b"\r\n" + head(), X),
    refused("a bare LF before the request", "RFC 9112 2.2", b"\n" + head()),
    refused("a space before the request", "RFC 9112 3", b" " + head()),
]

STARTS = [
    refused("lower-case method", "RFC 9110 9.1", head(start=b"get /fn/f/x HTTP/1.1")),
    refused("mixed-case method", "RFC 9110 9.1", head(start=b"Get /fn/f/x HTTP/1.1")),
    refused("a parenthesis in the method", "RFC 9112 3.1", head(start=b"G(T /fn/f/x HTTP/1.1")),
    refused("a colon in the method", "RFC 9112 3.1", head(start=b"GET: /fn/f/x HTTP/1.1")),
    refused("no method", "RFC 9112 3", head(start=b" /fn/f/x HTTP/1.1")),
    refused("an endless method", "RFC 9112 3.1", head(start=b"G" * 4000 + b" /fn/f/x HTTP/1.1"), either=(501,)),
    refused("a NUL before the method", "RFC 9112 3.1", b"\0" + head()),
    refused("the preface of HTTP/2", "RFC 9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", either=(505,)),
    refused("CONNECT", "RFC 9110 9.3.6", head(start=b"CONNECT h:443 HTTP/1.1", host=b"Host: h:443")),
    refused("CONNECT with a path", "RFC 9110 9.3.6", head(start=b"CONNECT /fn/f/x HTTP/1.1")),
    refused("two spaces after the method", "RFC 9112 3", head(start=b"GET  /fn/f/x HTTP/1.1")),
    refused("two spaces before the version", "RFC 9112 3", head(start=b"GET /fn/f/x  HTTP/1.1")),
    refused("a tab as the separator", "RFC 9112 3", head(start=b"GET\t/fn/f/x\tHTTP/1.1")),
    refused("a space in the target", "RFC 9112 3", head(start=b"GET /fn/f/x y HTTP/1.1")),
    refused("a space after the version", "RFC 9112 3", head(start=b"GET /fn/f/x HTTP/1.1 ")),
    refused("no version", "RFC 9112 3", head(start=b"GET /fn/f/x")),
    refused("lower-case version", "RFC 9112 2.3", head(start=b"GET /fn/f/x http/1.1")),
    refused("HTTP/2.0", "RFC 9112 2.3", head(start=b"GET /fn/f/x HTTP/2.0"), 505, (400,)),
    refused("HTTP/0.9", "RFC 9112 2.3", head(start=b"GET /fn/f/x HTTP/0.9"), 505, (400,)),
    refused("HTTP/1.10", "RFC 9112 2.3", head(start=b"GET /fn/f/x HTTP/1.10")),
    refused("HTTP/11", "RFC 9112 2.3", head(start=b"GET /fn/f/x HTTP/11")),
    refused("HTTPS/1.1", "RFC 9112 2.3", head(start=b"GET /fn/f/x HTTPS/1.1")),
    refused("HTTP/1,1", "RFC 9112 2.3", head(start=b"GET /fn/f/x HTTP/1,1")),
    refused("a TLS ClientHello", "RFC 9112 3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n"),
    passed("a method nobody knows", "RFC 9110 9.1", head(start=b"PURGE /fn/f/x HTTP/1.1"), Seen(b"PURGE", b"/x")),
    passed("a method with a hyphen", "RFC 9110 9.1", head(start=b"M-SEARCH /fn/f/x HTTP/1.1"), Seen(b"M-SEARCH", b"/x")),
]

TARGETS = [
    refused("a fragment", "RFC 9112 3.2", head(start=b"GET /fn/f/x#y HTTP/1.1")),
    refused("a byte above 127 in the target", "RFC 9112 3.2", head(start=b"GET /fn/f/\xe4 HTTP/1.1")),
    refused("DEL in the target", "RFC 9112 3.2", head(start=b"GET /fn/f/\x7f HTTP/1.1")),
    refused("a target without a slash", "RFC 9112 3.2", head(start=b"GET fn/f/x HTTP/1.1")),
    refused("an empty absolute authority", "RFC 9110 4.2.1", head(start=b"GET http:///fn/f/x HTTP/1.1")),
    refused("another host in the absolute form", "RFC 9112 3.2.2", head(start=b"GET http://other/fn/f/x HTTP/1.1")),
    refused("a user in the absolute form", "RFC 9110 4.2.4", head(start=b"GET http://u@h/fn/f/x HTTP/1.1")),
    refused("another scheme in the absolute form", "RFC 9112 3.2.2", head(start=b"GET ftp://h/fn/f/x HTTP/1.1")),
    passed("an absolute form that agrees", "RFC 9112 3.2.2", head(start=b"GET http://h/fn/f/x HTTP/1.1"), X),
    passed("no rest", "docs/architecture.md", head(start=b"GET /fn/f HTTP/1.1"), Seen(b"GET", b"/")),
    passed("a slash as the rest", "docs/architecture.md", head(start=b"GET /fn/f/ HTTP/1.1"), Seen(b"GET", b"/")),
    passed("a query and no rest", "docs/architecture.md", head(start=b"GET /fn/f?a=b HTTP/1.1"), Seen(b"GET", b"/?a=b")),
    passed("a query", "docs/architecture.md", head(start=b"GET /fn/f/x?a=/../b&c HTTP/1.1"), Seen(b"GET", b"/x?a=/../b&c")),
    passed("two slashes", "RFC 3986 6", head(start=b"GET /fn/f//x HTTP/1.1"), Seen(b"GET", b"//x")),
    passed("dot segments", "RFC 3986 6", head(start=b"GET /fn/f/../secret/x HTTP/1.1"), Seen(b"GET", b"/../secret/x")),
    passed("encoded dot segments", "RFC 3986 6", head(start=b"GET /fn/f/%2e%2E/x HTTP/1.1"), Seen(b"GET", b"/%2e%2E/x")),
    passed("an encoded slash", "RFC 3986 2.2", head(start=b"GET /fn/f/a%2Fb HTTP/1.1"), Seen(b"GET", b"/a%2Fb")),
    passed("an encoded NUL", "RFC 3986 2.1", head(start=b"GET /fn/f/a%00b HTTP/1.1"), Seen(b"GET", b"/a%00b")),
    passed("encoded line ends", "RFC 3986 2.1", head(start=b"GET /fn/f/%0d%0aA:%20b HTTP/1.1"), Seen(b"GET", b"/%0d%0aA:%20b")),
]

NOWHERE = [
    Case(f"not a function: {path.decode()}", "docs/architecture.md", head(start=b"GET " + path + b" HTTP/1.1"), (404,), closed=False)
    for path in (
        b"/", b"/fn", b"/fn/", b"/fn//secret", b"/fn/./secret", b"/fn/../fn/secret", b"/./fn/secret", b"//fn/secret", b"/FN/secret",
        b"/fn/SECRET", b"/fn/%73ecret", b"/fn/secret%20", b"/fn/secret%00", b"/fn/secret;x", b"/fn/f%2F..%2Fsecret", b"/fn%2Fsecret",
        b"/fn/nosuch", b"/fn/f.other/x", b"/x/fn/secret", b"/fn?secret",
    )
]  # fmt: skip

HOSTS = [
    refused("no Host", "RFC 9112 3.2", head(host=b"")),
    refused("two Hosts", "RFC 9112 3.2", head(b"Host: h")),
    refused("two different Hosts", "RFC 9112 3.2", head(b"Host: other")),
    refused("two Hosts, one in capitals", "RFC 9112 3.2", head(b"HOST: h")),
    refused("an empty Host", "RFC 9110 7.2", head(host=b"Host:")),
    refused("a space in Host", "RFC 9110 7.2", head(host=b"Host: h h")),
    refused("a slash in Host", "RFC 9110 7.2", head(host=b"Host: h/x")),
    refused("a user in Host", "RFC 9110 7.2", head(host=b"Host: u@h")),
    refused("a port of letters", "RFC 9110 7.2", head(host=b"Host: h:http")),
    refused("an endless port", "RFC 9110 7.2", head(host=b"Host: h:800000")),
    refused("a list as Host", "RFC 9110 7.2", head(host=b"Host: h, g")),
    refused("an open bracket in Host", "RFC 3986 3.2.2", head(host=b"Host: [::1")),
    refused("a query in Host", "RFC 9110 7.2", head(host=b"Host: h?x")),
    refused("a byte above 127 in Host", "RFC 9110 7.2", head(host=b"Host: \xe4")),
    passed("a port in Host", "RFC 9110 7.2", head(host=b"Host: h:8080"), Seen(b"GET", b"/x", has={"host": b"h:8080"})),
    passed("an IPv6 Host", "RFC 9110 7.2", head(host=b"Host: [::1]:80"), Seen(b"GET", b"/x", has={"host": b"[::1]:80"})),
    Case("HTTP/1.0 without Host", "RFC 9112 3.2", head(start=b"GET /fn/f/x HTTP/1.0", host=b""), (200,), (X,)),
]

LIMITS = [
    refused("a field of 70 KiB", "RFC 6585 5", head(b"A: " + b"b" * 70_000), 431),
    refused("a head that never ends", "RFC 6585 5", head(b"A: " + b"b" * 200_000)[:-4], 431),
    refused("a thousand fields", "RFC 6585 5", head(*(b"A%d: b" % n for n in range(1000))), 431),
    refused("a function's name of 9 KiB", "RFC 9110 15.5.15", head(start=b"GET /fn/" + b"x" * 9000 + b" HTTP/1.1"), 414),
    refused("a target of 60 KiB", "RFC 9110 15.5.15", head(start=b"GET /fn/f/" + b"x" * 60_000 + b" HTTP/1.1"), 414, (431,)),
]

CASES: list[Case] = [*LINES, *STARTS, *TARGETS, *NOWHERE, *HOSTS, *LIMITS]
