"""The usual block of request fields, as one possessive expression: valid lines, and nothing that has to be rewritten or refused.

Groups: host, content-length, x-request-id, traceparent, tracestate, and the whole line `Connection: keep-alive`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from router.http1 import grammar
from router.http1.grammar import EOL, TOKEN, VALUE, once

_SPECIAL = (
    *(b"connection", b"keep-alive", b"proxy-*", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length", b"host"),
    *(b"expect", b"http2-settings", b"forwarded", b"x-forwarded-*", b"x-real-ip", b"x-request-id", b"traceparent", b"tracestate"),
)
_FIRST = {byte for name in _SPECIAL for byte in name[:1] + name[:1].upper()}
_HARMLESS = b"".join(
    re.escape(bytes((byte,))) for byte in range(33, 127) if re.match(TOKEN, bytes((byte,))) and byte not in _FIRST
)

# The order is that of likelihood: each alternative that is entered in vain costs 0.1 us a line.
_LINES = b"|".join(
    (
        rb"[%b]%b*+:%b*+%b" % (_HARMLESS, TOKEN, VALUE, EOL),  # a first letter that no special field has
        rb"[Cc](?!(?i:onnection:|ontent[-_]length:))%b*+:%b*+%b" % (TOKEN, VALUE, EOL),  # Cookie, Content-Type, Cache-Control
        rb"[Uu](?!(?i:pgrade:))%b*+:%b*+%b" % (TOKEN, VALUE, EOL),  # User-Agent
        once(1, b"host", rb"((?:[A-Za-z0-9\-._~]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5}+)?+)"),
        once(2, b"content-length", rb"([0-9]{1,15}+)"),
        once(3, b"x-request-id", b"()" + grammar.REQUEST_ID + b"+"),
        once(4, b"traceparent", b"()" + grammar.TRACEPARENT),
        once(5, b"tracestate", b"()" + VALUE + rb"*"),
        rb"(?=[Cc])(?(6)(?!))([Cc]onnection:[ \t]*+[Kk]eep-[Aa]live[ \t]*+\r\n)",
        rb"%b%b++:%b*+%b" % (grammar.unlike(*_SPECIAL), TOKEN, VALUE, EOL),
    )
)


@lru_cache(maxsize=16)
def usual(most: int) -> Callable[..., re.Match[bytes] | None]:
    """Match a block of at most so many lines. Matches nothing on a CPython whose `re` gets such expressions wrong."""
    return re.compile(rb"(?:%b){0,%d}+" % (_LINES, most) if grammar.POSSESSIVE else rb"(?!)").fullmatch
