"""The usual block of request fields, as one possessive expression: valid lines, and nothing that has to be rewritten or refused.

Groups: host; content-length; x-request-id, traceparent and tracestate, of which only is said that they are there; and the whole
line `Connection: keep-alive`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from router.http1 import grammar
from router.http1.grammar import EOL, TOKEN, VALUE, once

_SPECIAL = (
    *(b"connection", b"keep-alive", b"proxy-*", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length", b"host"),
    *(b"expect", b"http2-settings", b"forwarded", b"x-forwarded-*", b"x-real-ip", b"x-request-id", b"traceparent", b"tracestate"),
)
_REQUEST_ID = grammar.REQUEST_ID + b"+"


def _lines(special: tuple[bytes, ...]) -> bytes:
    """One line. The order is that of likelihood: each alternative that is entered in vain costs 0.1 us a line."""
    first = {byte for name in special for byte in name[:1] + name[:1].upper()}
    harmless = b"".join(
        re.escape(bytes((byte,))) for byte in range(33, 127) if re.match(TOKEN, bytes((byte,))) and byte not in first
    )
    return b"|".join(
        (
            rb"[%b]%b*+:%b*+%b" % (harmless, TOKEN, VALUE, EOL),  # a first letter that no special field has
            rb"[Cc](?!(?i:onnection:|ontent[-_]length:))%b*+:%b*+%b" % (TOKEN, VALUE, EOL),  # Cookie, Content-Type, Cache-Control
            rb"[Uu](?!(?i:pgrade:))%b*+:%b*+%b" % (TOKEN, VALUE, EOL),  # User-Agent
            once(1, b"host", rb"((?:[A-Za-z0-9\-._~]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5}+)?+)"),
            once(2, b"content-length", rb"([0-9]{1,15}+)"),
            once(3, b"x-request-id", b"()" + _REQUEST_ID),
            once(4, b"traceparent", b"()" + grammar.TRACEPARENT),
            once(5, b"tracestate", b"()" + VALUE + rb"*"),
            rb"(?=[Cc])(?(6)(?!))([Cc]onnection:[ \t]*+[Kk]eep-[Aa]live[ \t]*+\r\n)",
            rb"%b%b++:%b*+%b" % (grammar.unlike(*special), TOKEN, VALUE, EOL),
        )
    )


@lru_cache(maxsize=16)
def usual(most: int, via: bool = False) -> Callable[..., re.Match[bytes] | None]:
    """Match a block of at most so many lines; with `via`, that field has to be looked into, too.

    Matches nothing on a CPython whose `re` gets such expressions wrong.
    """
    lines = _lines((*_SPECIAL, b"via") if via else _SPECIAL)
    return re.compile(rb"(?:%b){0,%d}+" % (lines, most) if grammar.POSSESSIVE else rb"(?!)").fullmatch


_IDENTITIES: Final = {b"x-request-id": _REQUEST_ID, b"traceparent": grammar.TRACEPARENT}
# Such expressions stay, a millisecond and 4 KiB each: nobody can have one compiled again and again.
_MOST: Final = 64  # of them in the life of a process
_LENGTH: Final = 256  # bytes that their names have together
_alike: Final[dict[tuple[bytes, ...], Callable[..., re.Match[bytes] | None]]] = {}


def alike(tail: bytes) -> Callable[..., re.Match[bytes] | None] | None:
    """Match lines with the names of these usual ones, in their order: there is nothing to choose at each line.

    What this accepts, the usual expression does, too, and finds the same in it, if no name is Host, Content-Length or Connection.
    None: there are too many of these expressions already.
    """
    names = tuple(name for name, _ in grammar.find_lines(tail))
    match = _alike.get(names)
    if match is None and len(_alike) < _MOST and sum(map(len, names)) <= _LENGTH:
        match = _alike[names] = re.compile(b"".join(map(_line, names))).fullmatch
    return match


def _line(name: bytes) -> bytes:
    value = _IDENTITIES.get(name.lower())
    return re.escape(name) + (rb":%b*+" % VALUE if value is None else rb":[ \t]*+%b[ \t]*+" % value) + EOL
