"""Response heads, as strictly as requests: what a function answers becomes a status, its framing, and a head that may go on.

The usual head (one Content-Length, perhaps `Connection: keep-alive`) costs two regular expressions; the rest goes line by line.
"""

from __future__ import annotations

import re
from typing import Final

from router.errors import BadUpstream
from router.http1 import grammar
from router.http1.grammar import CHUNKED, CLOSE, CRLF, EOL, HOP_BY_HOP, TOKEN, VALUE, once

_REASON: Final = rb"(?: [\t\x20-\x7e\x80-\xff]*)?"
_match_status: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(%b)\r\n" % _REASON).match

_plain: Final = grammar.unlike(
    *(b"connection", b"keep-alive", b"proxy-*", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length"),
    *(b"http2-settings",),
)
_usual: Final = b"|".join(
    (
        _plain + TOKEN + rb"++:" + VALUE + rb"*+" + EOL,
        once(1, b"content-length", rb"([0-9]{1,15}+)"),
        rb"(?(2)(?!)|([Cc]onnection:[ \t]*+[Kk]eep-[Aa]live[ \t]*+\r\n))",
        rb"(?(3)(?!)|([Kk]eep-[Aa]live:[ \t]*+timeout=([0-9]{1,6}+)%b*+\r\n))" % VALUE,
    )
)
_match_usual: Final = re.compile(rb"(?:%b)*+" % _usual if grammar.POSSESSIVE else rb"(?!)").fullmatch
_find_date: Final = re.compile(rb"\n(?i:date):").search
_find_timeout: Final = re.compile(rb"timeout=([0-9]{1,6})").search


class Response:
    """One response head: `head` is the status line and the end-to-end lines, each with its CRLF, without the empty line."""

    __slots__ = ("bodied", "dated", "head", "idle", "keep", "length", "raw", "size", "status", "unchanged", "upgrade", "wire")

    def __init__(self, block: bytes, status: int, head: bytes, length: int, keep: bool, idle: int = 0) -> None:
        self.raw = block + CRLF  # as received
        self.status = status
        self.head = head
        self.wire = head + CRLF
        self.unchanged = head == block  # it goes on as it came
        self.length = length  # bytes, CHUNKED or CLOSE: as the fields say; HEAD, 1xx, 204 and 304 have no body whatever they say
        self.bodied = status >= 200 and status != 204 and status != 304  # an answer to anything but HEAD has a body
        self.size = len(self.raw) + length if self.bodied and length >= 0 else -1  # of such an answer, head and body
        self.keep = keep  # the function keeps the connection
        self.idle = idle  # seconds it keeps it idle (Keep-Alive: timeout=N); 0 = not said
        self.upgrade = b""  # the protocol of a 101, lower case
        self.dated = True  # `head` says nothing that was true only when it was read

    def date(self, line: bytes) -> None:
        """Add a Date of now, of which the function said nothing (RFC 9110 6.6.1): `head` is good for this second."""
        self.head += line
        self.wire = self.head + CRLF
        self.unchanged = self.dated = False


NOTHING: Final = Response(b"", 0, b"", 0, False)  # where there is no response, or it is not kept


def read_response(block: bytes, date: bytes = b"") -> Response:
    """The head in `block`: status line and field lines, each with its CRLF, without the empty line. Raises BadUpstream.

    `date`: the line that a final response without Date gets.
    """
    response = _read(block)
    if date and response.status >= 200 and _find_date(response.head) is None:
        response.date(date)
    return response


def _read(block: bytes) -> Response:
    line = _match_status(block)
    if line is None:
        raise BadUpstream("The function answered with something that is not an HTTP/1.1 status line")
    minor, code, reason = line.groups()
    start = line.end()
    usual = _match_usual(block, start) if reason and minor == b"1" and code != b"204" and code[:1] != b"1" else None
    if usual is None or usual[1] is None:
        return _read_strictly(block, line)
    head = block
    for group in (3, 2) if usual.start(3) > usual.start(2) else (2, 3):  # the later one first: the earlier keeps its place
        if usual[group] is not None:
            head = head[: usual.start(group)] + head[usual.end(group) :]
    return Response(block, int(code), head, int(usual[1]), True, _idle(usual[4]))


def _read_strictly(block: bytes, line: re.Match[bytes]) -> Response:
    minor, code, reason = line.groups()
    if grammar.match_block(block, line.end()) is None:
        raise BadUpstream("The function answered with a malformed header section")
    lines = [(name.lower(), name, value.rstrip(b" \t")) for name, value in grammar.find_lines(block, line.end())]
    status = int(code)
    named = frozenset(member for lower, _, value in lines if lower == b"connection" for member in grammar.members(value))
    length = _length(
        [v for n, _, v in lines if n == b"content-length"], [v for n, _, v in lines if n == b"transfer-encoding"], minor
    )
    dropped = HOP_BY_HOP | (named - {b"content-length"})
    if status < 200 or status == 204:
        dropped |= {b"content-length"}  # RFC 9110 8.6: these never carry one
    kept = [name + b": " + value + CRLF for lower, name, value in lines if lower not in dropped]
    if status == 426:
        kept += _asked_for([value for lower, _, value in lines if lower == b"upgrade"])
    head = b"HTTP/1.1 " + code + (reason or b" ") + CRLF + b"".join(kept)
    keep = b"close" not in named and (minor == b"1" or b"keep-alive" in named)
    timeout = _find_timeout(b",".join(value.lower() for lower, _, value in lines if lower == b"keep-alive"))
    response = Response(block, status, head, length, keep, _idle(timeout and timeout[1]))
    upgrades = [value.lower() for lower, _, value in lines if lower == b"upgrade"]
    if len(upgrades) == 1 and b"upgrade" in named:
        response.upgrade = upgrades[0]
    return response


def _asked_for(upgrades: list[bytes]) -> list[bytes]:
    """A 426 says what to upgrade to (RFC 9110 15.5.22): hop by hop, so it is said anew. Nobody here speaks h2c."""
    protocols = [protocol for value in upgrades for protocol in grammar.members(value) if protocol != b"h2c"]
    return [b"Connection: Upgrade\r\nUpgrade: " + b", ".join(protocols) + CRLF] if protocols else []


def _idle(timeout: bytes | None) -> int:
    """Seconds; a promise of 0 is no silence about it, so it is kept as 1, of which no time is left for another request."""
    return max(1, int(timeout)) if timeout else 0


def _length(lengths: list[bytes], codings: list[bytes], minor: bytes) -> int:
    if codings:
        if lengths:
            raise BadUpstream("The function answered with Content-Length together with Transfer-Encoding")
        if len(codings) > 1 or codings[0].lower() != b"chunked" or minor == b"0":
            raise BadUpstream("The function answered with a Transfer-Encoding that is not chunked alone")
        return CHUNKED
    if not lengths:
        return CLOSE
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 15:
        raise BadUpstream("The function answered with a malformed or repeated Content-Length")
    return int(lengths[0])
