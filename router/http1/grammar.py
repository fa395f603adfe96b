"""The words of HTTP/1.1 as regular expressions (RFC 9110 5, RFC 9112 2-7), and whether this interpreter runs them right.

The usual heads are accepted by one possessive expression (`*+` never gives back what it took) in fields.py and response.py, so
that no Python runs for each line. What these do not accept goes the slow way, whose expressions, here, are not possessive.
"""

from __future__ import annotations

import re
from typing import Final

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]"  # field-vchar, SP, HTAB and obs-text: no NUL, no control character, no bare CR or LF
EOL: Final = rb"\r\n"
CRLF: Final = b"\r\n"
HOST: Final = rb"(?:[A-Za-z0-9\-._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"  # RFC 3986 host, RFC 9110 7.2; never empty
REQUEST_ID: Final = rb"[\x21-\x7e]{1,200}"
TRACEPARENT: Final = (
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"  # W3C Trace Context, version 00
)

CHUNKED: Final = -1  # a body framed by Transfer-Encoding: chunked
CLOSE: Final = -2  # a body that ends with the connection

match_block: Final = re.compile(rb"(?:" + TOKEN + rb"+:" + VALUE + rb"*" + EOL + rb")*").fullmatch
find_lines: Final = re.compile(rb"(" + TOKEN + rb"+):[ \t]*(" + VALUE + rb"*)" + EOL).findall
match_host: Final = re.compile(HOST).fullmatch
match_request_id: Final = re.compile(REQUEST_ID).fullmatch
match_traceparent: Final = re.compile(rb"%b|(?!00)%b-[\x21-\x7e]*" % (TRACEPARENT, TRACEPARENT)).fullmatch  # a later one has more
match_token: Final = re.compile(TOKEN + rb"+").fullmatch
find_bare_lf: Final = re.compile(rb"\n(?<!\r\n)").search

# Fields that concern one connection only (RFC 9110 7.6.1), with those that old software still sends.
HOP_BY_HOP: Final = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade "
    b"http2-settings".split()
)
_NEVER_TRAILING: Final = HOP_BY_HOP | frozenset(
    b"content-length host expect content-encoding content-type content-range cache-control max-forwards authorization cookie "
    b"set-cookie range age date expires location retry-after vary warning forwarded x-real-ip x-request-id traceparent "
    b"tracestate server-timing".split()
)


def may_trail(name: bytes) -> bool:
    """May a trailer have this name (RFC 9110 6.5.1)? Not framing, routing, or what this router sets; a `_` counts as `-`."""
    plain = name.lower().replace(b"_", b"-")
    return plain not in _NEVER_TRAILING and not plain.startswith(b"x-forwarded-")


def unlike(*names: bytes) -> bytes:
    """An expression that refuses a field line by its name; a look at the first letter spares most lines the rest.

    A `_` counts as `-`: to a CGI-like server (WSGI) both are one variable. A name that ends in "*" stands for all that begin so.
    """
    first = bytes(sorted({byte for name in names for byte in name[:1].lower() + name[:1].upper()}))
    rests = (name[1:-1] if name.endswith(b"*") else name[1:] + b":" for name in names)
    return rb"(?![%b](?i:%b))" % (first, b"|".join(rest.replace(b"-", b"[-_]") for rest in rests))


def once(group: int, name: bytes, value: bytes) -> bytes:
    """A field line that may come once: `(?(group)(?!))` refuses the second, so `value` must set that group. It stands behind the
    first letter, by which an alternative is passed over without being entered."""
    return rb"[%c%c](?(%d)(?!))(?i:%b):[ \t]*+%b[ \t]*+\r\n" % (name[0] - 32, name[0], group, name[1:], value)


def members(value: bytes) -> list[bytes]:
    """The members of a comma-separated field value, lower case, empty ones left out (RFC 9110 5.6.1)."""
    return [member for raw in value.lower().split(b",") if (member := raw.strip(b" \t"))]


# gh-106052, fixed in 3.11.5 and 3.12.0: the fast paths use possessive expressions only where this matches as it should.
POSSESSIVE: Final = re.fullmatch(rb"(?:ab?c|d)*+", b"acdabc") is not None and re.match(rb"(?:ab?c)*+", b"aca") is not None
