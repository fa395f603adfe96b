"""Hostile fields: Connection, hop-by-hop, forwarding, upgrades, expectations."""

from __future__ import annotations

from tests.integration.hostile.hostile_cases import Case, Seen, head, passed, post, refused

ID = b"abc-123"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def got(has: dict[str, bytes] | None = None, *lacks: str) -> Seen:
    """The plain GET of /x, with these fields and without those."""
    return Seen(b"GET", b"/x", has=has or {}, lacks=lacks)


CONNECTION = [
    *(refused(f"Connection names {name.decode()}", "RFC 9110 7.6.1", head(b"Connection: close, " + name))
      for name in (b"Host", b"Content-Length", b"Transfer-Encoding", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host",
                   b"X-Forwarded-Prefix", b"X-Request-Id", b"traceparent", b"HOST", b"content-length")),
    refused("a second Connection names Host", "RFC 9110 7.6.1", head(b"Connection: keep-alive", b"Connection: Host")),
    passed("Connection names a field", "RFC 9110 7.6.1", head(b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"A: b"),
           got({"a": b"b"}, "x-hop", "connection")),
    passed("Connection names a field in other case", "RFC 9110 7.6.1", head(b"Connection: x-hop", b"X-HOP: 1"), got({}, "x-hop")),
    passed("two Connection lines name two fields", "RFC 9110 7.6.1", head(b"Connection: A", b"Connection: B", b"A: 1", b"B: 2"), got({}, "a", "b")),
    passed("Connection of empty members", "RFC 9110 5.6.1", head(b"Connection: , ,keep-alive,,"), got({}, "connection")),
    passed("Keep-Alive stays here", "RFC 9110 7.6.1", head(b"Connection: keep-alive", b"Keep-Alive: timeout=5"), got({}, "keep-alive", "connection")),
    passed("Proxy-Connection stays here", "RFC 9112 C.2.2", head(b"Proxy-Connection: keep-alive"), got({}, "proxy-connection")),
    passed("TE of a coding stays here", "RFC 9110 10.1.4", head(b"Connection: TE", b"TE: gzip"), got({}, "te")),
    passed("Proxy-Authorization stays here", "RFC 9110 11.7.2", head(b"Proxy-Authorization: Basic eDp5"), got({}, "proxy-authorization")),
    passed("Authorization goes on", "RFC 9110 11.6.2", head(b"Authorization: Basic eDp5"), got({"authorization": b"Basic eDp5"})),
    Case("Connection: close ends it", "RFC 9112 9.6", head(b"Connection: close"), (200,), (got({}, "connection"),)),
    Case("HTTP/1.0 ends by itself", "RFC 9112 9.3", head(start=b"GET /fn/f/x HTTP/1.0"), (200,), (got(),)),
    Case("HTTP/1.0 with keep-alive ends, too", "RFC 9112 9.3", head(b"Connection: keep-alive", start=b"GET /fn/f/x HTTP/1.0"), (200,), (got(),)),
]  # fmt: skip

FORWARDING = [
    passed("X-Forwarded-For of anybody is not believed", "docs/architecture.md", head(b"X-Forwarded-For: 6.6.6.6"), got({"x-forwarded-for": b"127.0.0.1"})),
    passed("X-Forwarded-For twice is not believed", "docs/architecture.md", head(b"X-Forwarded-For: 6.6.6.6", b"x-forwarded-for: 7.7.7.7"),
           got({"x-forwarded-for": b"127.0.0.1"})),
    passed("X-Forwarded-Proto of anybody is not believed", "docs/architecture.md", head(b"X-Forwarded-Proto: https"), got({"x-forwarded-proto": b"http"})),
    passed("X-Forwarded-Host of anybody is not believed", "docs/architecture.md", head(b"X-Forwarded-Host: evil"), got({"x-forwarded-host": b"h"})),
    passed("X-Forwarded-Prefix is ours", "docs/architecture.md", head(b"X-Forwarded-Prefix: /evil"), got({"x-forwarded-prefix": b"/fn/f"})),
    passed("X-Forwarded-User and -Port of anybody are dropped", "docs/architecture.md", head(b"X-Forwarded-User: root", b"x_forwarded_port: 1"),
           got({}, "x-forwarded-user", "x_forwarded_port")),
    passed("Forwarded of anybody is dropped", "RFC 7239 8.1", head(b"Forwarded: for=6.6.6.6"), got({}, "forwarded")),
    passed("Via of others goes on, and this router says nothing unless it has a name", "RFC 9110 7.6.3", head(b"Via: 1.0 fred, 1.1 p.example"),
           got({"via": b"1.0 fred, 1.1 p.example"})),
    refused("Connection names Via", "RFC 9110 7.6.1", head(b"Connection: Via", b"Via: 1.1 x")),
    passed("a request id is kept", "docs/architecture.md", head(b"X-Request-Id: " + ID), got({"x-request-id": ID})),
    passed("a trace is kept", "W3C Trace Context 3.2", head(b"traceparent: " + TRACE), got({"traceparent": TRACE})),
]  # fmt: skip

UPGRADES = [
    passed("h2c is not spoken", "RFC 9113 3.1", head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
           got({}, "upgrade", "http2-settings", "connection")),
    passed("HTTP2-Settings alone is dropped", "RFC 9113 3.1", head(b"HTTP2-Settings: AAMAAABkAAQAAP__"), got({}, "http2-settings")),
    passed("Upgrade without Connection is dropped", "RFC 9110 7.8", head(b"Upgrade: websocket"), got({}, "upgrade")),
    passed("an unlisted protocol is dropped", "RFC 9110 7.8", head(b"Connection: Upgrade", b"Upgrade: smtp"), got({}, "upgrade", "connection")),
    Case("an expectation nobody knows", "RFC 9110 10.1.1", post(b"Expect: 200-maybe", b"Content-Length: 0"), (417,), either=(400,)),
]  # fmt: skip

CASES: list[Case] = [*CONNECTION, *FORWARDING, *UPGRADES]
