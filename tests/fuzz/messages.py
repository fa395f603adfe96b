"""Valid HTTP/1.1 messages as Hypothesis strategies: what they mean, and bytes that a client or a function may write for it."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

# What does not go on, whatever its value (RFC 9110 7.6.1), and what the router says itself.
KEPT_HERE = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization te trailer transfer-encoding upgrade http2-settings "
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-prefix x-request-id traceparent tracestate forwarded "
    b"x-real-ip".split()
)

_names = st.sampled_from(
    (
        *(
            b"Accept",
            b"accept",
            b"User-Agent",
            b"Cookie",
            b"X-A",
            b"x_b",
            b"Content-Type",
            b"Cache-Control",
            b"Hos",
            b"Hosts",
            b"Tea",
        ),
        *(b"Content-Lengthy", b"If-None-Match", b"Upgrade-Insecure-Requests", b"!#$%&'*+-.^_`|~", b"Authorization", b"Range"),
    )
)
_words = st.binary(max_size=12).map(lambda raw: bytes(b for b in raw if b == 9 or 32 <= b < 127 or b > 127).strip(b" \t"))
_hop_by_hop = st.sampled_from(
    (
        *(
            b"Connection: keep-alive",
            b"connection:  Keep-Alive ",
            b"Keep-Alive: timeout=5",
            b"TE: gzip",
            b"Proxy-Connection: close",
        ),
        *(b"X-Forwarded-For: 10.0.0.1", b"Forwarded: for=10.0.0.1", b"X-Real-IP: 10.0.0.1", b"Trailer: X-T", b"Upgrade: h2c"),
        *(b"Connection: X-A", b"Connection: upgrade, HTTP2-Settings", b"HTTP2-Settings: AAAA", b"X-Forwarded-Prefix: /evil"),
    )
)
_targets = st.text("abcXYZ019-._~%2F/?&=;:@!$'()*+,[]|^`{}\"<>\\", max_size=20).map(str.encode)
_blank = st.sampled_from((b"", b" ", b"  ", b"\t"))
_trailers = st.lists(st.tuples(st.sampled_from((b"X-T", b"Grpc-Status", b"Digest")), _words), max_size=2)


@dataclass(frozen=True)
class Sent:
    """One request: its bytes, and what must reach the function."""

    raw: bytes
    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]  # end-to-end ones but framing, names in lower case
    body: bytes
    trailers: list[tuple[bytes, bytes]]


@st.composite
def chunked(draw: st.DrawFn, body: bytes, trailers: list[tuple[bytes, bytes]]) -> bytes:
    """One of the ways to write this body in chunks."""
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
    pieces = [body[a:b] for a, b in zip((0, *cuts), (*cuts, len(body)), strict=True) if a < b]
    extension = draw(st.sampled_from((b"", b";a", b";a=b", b'; a = "x;\\"y"')))
    size = draw(st.sampled_from((b"%x", b"%X", b"00%x")))
    lines = b"".join(name + b":" + value + b"\r\n" for name, value in trailers)
    return b"".join(size % len(piece) + extension + b"\r\n" + piece + b"\r\n" for piece in pieces) + b"0\r\n" + lines + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """A valid request to the function `f`."""
    method = draw(
        st.sampled_from((b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND", b"M-SEARCH"))
    )
    rest = draw(st.one_of(st.just(b""), _targets.map(lambda t: b"/" + t), _targets.map(lambda t: b"?" + t)))
    fields = draw(st.lists(st.tuples(_names, _words), max_size=5))
    extra = draw(st.lists(_hop_by_hop, max_size=2))
    framing = draw(st.sampled_from(("none", "length", "chunked")))
    body = b"" if framing == "none" else draw(st.binary(max_size=60))
    trailers = draw(_trailers) if framing == "chunked" else []
    host = draw(st.sampled_from((b"h", b"EXAMPLE.org:8080", b"[::1]:80", b"a.b-c_d~e")))
    absolute = draw(st.booleans())
    lines = [name + b":" + draw(_blank) + value + draw(_blank) for name, value in fields] + extra
    lines.insert(draw(st.integers(0, len(lines))), b"hOST: " + host)
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: " + draw(st.sampled_from((b"chunked", b"Chunked"))))
    target = (b"http://" + host if absolute else b"") + b"/fn/f" + rest
    head = method + b" " + target + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"
    wire = draw(chunked(body, trailers)) if framing == "chunked" else body
    named = {
        member.strip().lower() for line in extra if line.lower().startswith(b"connection") for member in line[11:].split(b",")
    }
    return Sent(
        (b"\r\n" if draw(st.booleans()) else b"") + head + wire,
        method,
        rest if rest[:1] == b"/" else b"/" + rest,
        [(b"host", host), *((name.lower(), value) for name, value in fields if name.lower() not in KEPT_HERE | named)],
        body,
        [(name.lower(), value) for name, value in trailers],
    )


@dataclass(frozen=True)
class Answered:
    """One response of a function: its bytes, and whether its end is that of the connection."""

    raw: bytes
    fin: bool


@st.composite
def responses(draw: st.DrawFn) -> Answered:
    """A valid answer to a GET, interim ones before it included."""
    interim = b"".join(
        draw(
            st.lists(
                st.sampled_from((b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 102 Wait\r\n\r\n")), max_size=2
            )
        )
    )
    status = draw(st.sampled_from((200, 201, 204, 304, 404, 500)))
    lines = [name + b": " + value for name, value in draw(st.lists(st.tuples(_names, _words), max_size=3))]
    lines += draw(
        st.lists(st.sampled_from((b"Connection: keep-alive", b"Keep-Alive: timeout=9", b"Connection: close")), max_size=1)
    )
    framing = draw(st.sampled_from(("length", "chunked", "close")))
    body = b"" if status in (204, 304) else draw(st.binary(max_size=80))
    wire, fin = body, False
    if status in (204, 304):
        lines += [b"Content-Length: 7"] if status == 304 and draw(st.booleans()) else []
    elif framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        wire = draw(chunked(body, draw(_trailers)))
    else:
        fin = True
    head = b"HTTP/1.1 %d X\r\n" % status + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    return Answered(interim + head + wire, fin)


@st.composite
def splits(draw: st.DrawFn, raw: bytes) -> list[bytes]:
    """One way in which these bytes may arrive: byte by byte, or cut anywhere."""
    if draw(st.integers(0, 4)) == 0:
        return [raw[at : at + 1] for at in range(len(raw))]
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    return [raw[a:b] for a, b in zip((0, *cuts), (*cuts, len(raw)), strict=True) if a < b]
