"""The field lines of a request: what they say about framing, and the lines that go on (RFC 9110 5 and 7.6, RFC 9112 6).

The usual block is accepted by one expression. Any other goes through `read_strictly`, line by line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from router.errors import ExpectationFailed, HeadTooLarge, Malformed
from router.http1 import grammar
from router.http1.grammar import CHUNKED, CRLF, HOP_BY_HOP
from router.http1.hops import check_loop
from router.http1.prefix import EMPTY, Groups, Prefix, common, cut
from router.http1.sender import Sender
from router.http1.usual import alike

NO_ID: Final = 1  # the request has no X-Request-Id that is worth keeping
NO_TRACE: Final = 2  # … no traceparent

# What a client may not have removed by naming it in Connection: framing, routing, and whatever this router sets.
_UNTOUCHABLE: Final = frozenset(
    b"host content-length transfer-encoding x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-prefix x-request-id "
    b"traceparent forwarded x-real-ip max-forwards via".split()
)
_REWRITTEN: Final = HOP_BY_HOP | frozenset(
    b"host content-length expect x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-prefix forwarded x-real-ip "
    b"x-request-id traceparent tracestate".split()
)


class Special(NamedTuple):
    """What few requests have."""

    upgrade: bytes  # the protocol asked for, lower case; empty: none
    trailers: bool  # TE: trailers


class Fields:
    """What the field lines of a request say. Requests of one connection whose lines say the same share one."""

    __slots__ = ("alike", "back", "front", "host", "keep", "length", "minor", "missing", "prefix", "repeated", "said", "special")

    def __init__(
        self,
        minor: bytes,
        host: bytes,
        length: int,
        keep: bool,
        missing: int,
        special: Special | None,
        back: bytes,
        prefix: Prefix = EMPTY,
        said: Groups | None = None,
    ) -> None:
        self.minor = minor  # b"0" | b"1": part of what the lines mean
        self.host = host
        self.length = length  # bytes of the body, or CHUNKED
        self.keep = keep  # the client wants the connection kept
        self.missing = missing  # NO_ID | NO_TRACE
        self.special = special  # never None when the body is chunked
        self.front = prefix.clean  # lines that go on before the request's own
        self.back = back  # … and behind them: our X-Forwarded-For, -Proto and -Host
        self.prefix = prefix  # what the next block probably begins with
        self.said = said  # what the usual expression found behind it; None: it was no usual block
        self.alike: Callable[..., re.Match[bytes] | None] | None = None  # accepts tails that say the same, as most will
        self.repeated = False

    def repeat(self, tail: bytes) -> None:
        """This tail says the same as the one before: the next one probably looks like it."""
        self.repeated = True
        host, length, _, _, _, connection = self.said  # type: ignore[misc]
        if host is None and length is None and connection is None:
            self.alike = alike(tail)


# What the lines say; the tail: those behind `Fields.prefix`, as received; and of those what goes on, no hop-by-hop line.
Read = tuple[Fields, bytes, bytes]


def read_fields(block: bytes, minor: bytes, sender: Sender, last: Read | None = None) -> Read:
    """Read a block of field lines, each with its CRLF; `last` is what was read before on this connection.

    What is read does not depend on `last`, only how quickly. Raises Malformed, HeadTooLarge, ExpectationFailed.
    """
    if minor == b"0":
        return read_strictly(block, minor, sender)
    if last is None:
        return _read_behind(EMPTY, block, sender.match_usual(block), sender)
    fields, before, _ = last
    prefix = fields.prefix
    tail = block[prefix.size :]
    known = block.startswith(prefix.raw)
    if known and tail == before and fields.minor == b"1":
        return last
    if known and fields.alike is not None and fields.alike(tail) is not None:  # the same names, and values that change nothing
        return fields, tail, tail
    if not known or prefix is EMPTY:
        prefix = _shared(last, block, sender)
        tail = block[prefix.size :]
    found = sender.match_usual(tail) if len(tail) < prefix.room or tail.count(b"\n") <= prefix.left else None
    if found is not None and found.groups() == fields.said and prefix is fields.prefix:
        if not fields.repeated:
            fields.repeat(tail)
        return fields, tail, cut(tail, found)
    return _read_behind(prefix, tail, found, sender)


def _shared(last: Read, block: bytes, sender: Sender) -> Prefix:
    """What this block begins with as the last one did, if that was a usual one."""
    fields, tail, _ = last
    return EMPTY if fields.said is None else common(fields.prefix.raw + tail, block, sender.match_usual, sender.limits.fields)


def _read_behind(prefix: Prefix, tail: bytes, found: re.Match[bytes] | None, sender: Sender) -> Read:
    """The same of a prefix, and a tail in which the usual expression found this."""
    said: Groups | None = None if found is None else found.groups()  # type: ignore[assignment]
    groups = None if said is None else prefix.join(said)
    if found is None or groups is None:
        return read_strictly(prefix.raw + tail, b"1", sender)
    host, length, request_id, trace, state, _ = groups
    if host is None or (state is not None and trace is None):
        return read_strictly(prefix.raw + tail, b"1", sender)
    missing = (request_id is None) + 2 * (trace is None)
    size = 0 if length is None else int(length)
    return Fields(b"1", host, size, True, missing, None, sender.lines + host + CRLF, prefix, said), tail, cut(tail, found)


def read_strictly(block: bytes, minor: bytes, sender: Sender) -> Read:
    """The same for any block, one line at a time: what is rare is read, what is wrong is refused with its reason."""
    if block.count(b"\n") > sender.limits.fields:
        raise HeadTooLarge(f"The request has more than {sender.limits.fields} header fields")
    if grammar.match_block(block) is None:
        raise Malformed(_fault(block))
    said: dict[bytes, list[bytes]] = {}
    lines = [(name.lower(), name, value.rstrip(b" \t")) for name, value in grammar.find_lines(block)]
    for lower, _, value in lines:
        if lower in _REWRITTEN:
            said.setdefault(lower, []).append(value)
    named = _connection(said)
    host = _host(said, minor)
    length = _length(said, minor)
    request_id, trace = _well_formed(said)
    kept = [name + b": " + value + CRLF for lower, name, value in lines if lower not in named and _goes_on(lower, sender)]
    kept.append(b"Host: " + (host or sender.authority) + CRLF)
    kept += [b"Content-Length: %d\r\n" % length] if b"content-length" in said else []
    kept += [b"Expect: 100-continue\r\n"] if _expect(said, minor) else []
    kept += [b"X-Request-Id: " + request_id + CRLF] if request_id else []
    kept += [b"traceparent: " + trace + CRLF] if trace else []
    kept += (
        [b"tracestate: " + value + CRLF for value in said.get(b"tracestate", ())] if trace and b"tracestate" not in named else []
    )
    back = _forwarded(said, sender, host or sender.authority, minor)
    if sender.via:
        check_loop([value for lower, _, value in lines if lower == b"via"], sender.via)
    keep = minor == b"1" and b"close" not in named
    missing = (not request_id) + 2 * (not trace)
    special = Special(_upgrade(said, named, minor, length), any(b"trailers" in grammar.members(te) for te in said.get(b"te", ())))
    usual = length != CHUNKED and special == (b"", False)
    return Fields(minor, host, length, keep, missing, None if usual else special, back), block, b"".join(kept)


def _goes_on(name: bytes, sender: Sender) -> bool:
    """May a field go on as it came? A `_` counts as `-`; whatever else says who sent it is for trusted senders to say."""
    plain = name.replace(b"_", b"-")
    return plain not in _REWRITTEN and (not plain.startswith(b"x-forwarded-") or (sender.trusted and plain == name))


def _fault(block: bytes) -> str:
    """Say what is wrong with a block that is no sequence of field lines."""
    for line in block.split(b"\r\n"):
        if line and grammar.match_block(line + b"\r\n") is None:
            name, colon, _ = line.partition(b":")
            if b"\n" in line or b"\r" in line:
                return "A header line ends in a bare CR or LF; RFC 9112 wants CRLF"
            if line[:1] in b" \t":
                return "A header line is folded (obs-fold), which RFC 9112 5.2 forbids"
            if colon and name != name.rstrip(b" \t"):
                return "There is a space between a header's name and its colon"
            if not colon or grammar.match_token(name) is None:
                return "A header line has no valid name"
            return "A header's value contains a control character"
    return "The header section is malformed"


def _connection(said: dict[bytes, list[bytes]]) -> frozenset[bytes]:
    values = said.get(b"connection")
    if values is None:
        return frozenset()
    named = frozenset(member for value in values for member in grammar.members(value))
    if any(grammar.match_token(member) is None for member in named):
        raise Malformed("The Connection header is malformed")
    if named & _UNTOUCHABLE:
        raise Malformed("The Connection header names a field that must reach the function")
    return named


def _host(said: dict[bytes, list[bytes]], minor: bytes) -> bytes:
    values = said.get(b"host", [])
    if not values and minor == b"0":
        return b""
    if len(values) != 1:
        raise Malformed("The Host header is missing" if not values else "There is more than one Host header")
    if grammar.match_host(values[0]) is None:
        raise Malformed("The Host header is malformed")
    return values[0]


def _length(said: dict[bytes, list[bytes]], minor: bytes) -> int:
    lengths, codings = said.get(b"content-length", []), said.get(b"transfer-encoding", [])
    if codings:
        if lengths:
            raise Malformed("Content-Length together with Transfer-Encoding")
        if minor == b"0":
            raise Malformed("Transfer-Encoding in HTTP/1.0")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise Malformed("The only Transfer-Encoding understood here is chunked, once")
        return CHUNKED
    if not lengths:
        return 0
    if len(lengths) > 1:
        raise Malformed("There is more than one Content-Length")
    if not lengths[0].isdigit() or len(lengths[0]) > 15:
        raise Malformed("Content-Length is not a number of at most 15 digits")
    return int(lengths[0])


def _well_formed(said: dict[bytes, list[bytes]]) -> tuple[bytes, bytes]:
    """X-Request-Id and traceparent, empty where absent, repeated or malformed: then the router makes its own."""
    ids, traces = said.get(b"x-request-id", []), said.get(b"traceparent", [])
    request_id = ids[0] if len(ids) == 1 and grammar.match_request_id(ids[0]) else b""
    trace = traces[0] if len(traces) == 1 and grammar.match_traceparent(traces[0]) else b""
    return request_id, trace


def _expect(said: dict[bytes, list[bytes]], minor: bytes) -> bool:
    values = said.get(b"expect", [])
    if not values or minor == b"0":  # RFC 9110 10.1.1: a 100-continue in an HTTP/1.0 request is ignored
        return False
    if len(values) > 1 or values[0].lower() != b"100-continue":
        raise ExpectationFailed("The only expectation understood here is 100-continue")
    return True


def _upgrade(said: dict[bytes, list[bytes]], named: frozenset[bytes], minor: bytes, length: int) -> bytes:
    """The one protocol asked for. A request with a body, or with a choice of protocols, is answered without an upgrade.

    h2c is none, whatever a route lists: behind it the function would serve requests that nobody here has read (RFC 9113 3.1).
    """
    values = said.get(b"upgrade", [])
    if len(values) != 1 or b"upgrade" not in named or minor == b"0" or length != 0:
        return b""
    protocol = values[0].lower()
    return protocol if protocol != b"h2c" and grammar.match_token(protocol) else b""


def _forwarded(said: dict[bytes, list[bytes]], sender: Sender, host: bytes, minor: bytes) -> bytes:
    """Our Via, X-Forwarded-For, -Proto and -Host; those of a trusted sender are carried on."""
    if not sender.trusted and minor == b"1":
        return sender.lines + host + CRLF
    chain, proto = [sender.address], sender.scheme
    if sender.trusted:
        chain = [*said.get(b"x-forwarded-for", ()), sender.address]
        proto = said.get(b"x-forwarded-proto", [sender.scheme])[-1]
        host = said.get(b"x-forwarded-host", [host])[-1]
    forwarded = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (b", ".join(chain), proto, host)
    return sender.passed(minor) + forwarded
