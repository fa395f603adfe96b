"""Request heads, strictly: what arrives becomes a method, a raw target and field lines that may go on as they are.

The usual head costs two regular expressions and no Python for each field; what they do not accept goes the slow way, which
either says why it is refused or accepts what is merely rare.
"""

from __future__ import annotations

import re
from typing import Final

from router.errors import HeadTooLarge, Malformed, TargetTooLong, VersionNotSupported
from router.http1 import grammar
from router.http1.fields import Fields, Read, read_fields
from router.http1.sender import Limits, Sender

# One empty line before a request is forgiven (RFC 9112 2.2).
# The path is matched raw: a name spelt with percent-encoding is another name. No "#", no control character, no byte above 0x7e.
_METHOD: Final = rb"[A-Z][A-Z\-_]{0,19}"
_REST: Final = rb"[\x21\x22\x24-\x7e]*"
_match_line: Final = re.compile(
    rb"(?:\r\n)?(?!CONNECT )(%b) /fn/([^/?#%%\x00-\x20\x7f-\xff]+)((?:[/?]%b)?) HTTP/1\.([01])\r\n" % (_METHOD, _REST)
).match
_match_other: Final = re.compile(rb"(?:\r\n)?([^ \r\n]+) ([^ \r\n]+) HTTP/([0-9])\.([0-9])\r\n").match
_match_method: Final = re.compile(_METHOD).fullmatch
_match_absolute: Final = re.compile(rb"(?i:https?)://([^/?#]+)((?:[/?]%b)?)" % _REST).fullmatch
_match_path: Final = re.compile(rb"/%b" % _REST).fullmatch
_match_function: Final = re.compile(rb"/fn/([^/?%]+)((?:[/?].*)?)").fullmatch


class Request:
    """One request head as it goes on: method, raw target in origin-form, fields; `segment` is `<name>[.<project>]` or empty."""

    __slots__ = ("fields", "method", "own", "read", "rest", "segment", "target")

    def __init__(self, method: bytes, segment: bytes, rest: bytes, read: Read) -> None:
        self.method = method
        self.segment = segment  # b"" when the path is not below /fn/: such a request is matched by its Host alone
        self.rest = rest  # what came behind the segment, exactly
        self.target = rest if rest[:1] == b"/" or rest == b"*" else b"/" + rest
        self.read = read  # for the next head of the same connection
        self.fields, _, self.own = read  # `own`: field lines between those that `fields` shares with other requests

    @property
    def lines(self) -> bytes:
        """All field lines that go on but those of the exchange."""
        return self.fields.front + self.own + self.fields.back

    def uncut(self) -> Request:
        """The same for a host that is the function's own, where the whole path is. A new object: a connection keeps its last."""
        return Request(self.method, b"", b"/fn/" + self.segment + self.rest, self.read) if self.segment else self


def read_request(data: bytes, end: int, sender: Sender, last: Read | None) -> Request:
    """The head in `data[:end + 4]`, where `end` is the index of its "\\r\\n\\r\\n".

    `last` is what was read of the request before on this connection, or None: clients repeat themselves.
    Raises Malformed, TargetTooLong, HeadTooLarge, ExpectationFailed, VersionNotSupported.
    """
    line = _match_line(data)
    if line is None:
        return _read_other(data, end, sender, last)
    method, segment, target, minor = line.groups()
    after = line.end()
    if after > sender.limits.target and line.end(3) - line.start(2) + 4 > sender.limits.target:  # 4: "/fn/"
        raise _too_long(sender.limits)
    return Request(method, segment, target, read_fields(data[after : end + 2], minor, sender, last))


def check_unfinished(data: bytes, limits: Limits) -> None:
    """Raise what is already certain of a head whose end has not come: too long, or lines that end in LF alone."""
    if len(data) > limits.target + 64 and data.find(b"\r\n") < 0:
        raise _too_long(limits)
    if len(data) > limits.head + 3:  # of the four bytes that end it, three may be there
        raise HeadTooLarge(f"The request head is longer than {limits.head} bytes")
    if grammar.find_bare_lf(data) is not None:
        raise Malformed("A line ends in a bare LF; RFC 9112 wants CRLF")
    if data[:1] and not (b"A" <= data[:1] <= b"Z") and data[:2] not in (b"\r", b"\r\n"):
        raise Malformed("This is not the beginning of an HTTP request")


def _read_other(data: bytes, end: int, sender: Sender, last: Read | None) -> Request:
    """Everything that is not a plain request below /fn/."""
    line = _match_other(data)
    if line is None:
        raise Malformed("The request line is malformed")
    method, target, major, minor = line.groups()
    if len(target) > sender.limits.target:
        raise _too_long(sender.limits)
    _check_line(method, major, minor)
    read = read_fields(data[line.end() : end + 2], minor, sender, last)
    path = _origin_form(method, target, read[0])
    function = _match_function(path)
    if function is None:
        return Request(method, b"", path, read)
    segment, rest = function.groups()
    return Request(method, segment, rest, read)


def _check_line(method: bytes, major: bytes, minor: bytes) -> None:
    if method == b"PRI":
        raise Malformed("This port speaks HTTP/1.1, not HTTP/2")
    if _match_method(method) is None:
        raise Malformed("The method is malformed: upper-case letters are expected")
    if method == b"CONNECT":
        raise Malformed("CONNECT is not supported here")
    if major != b"1" or minor not in (b"0", b"1"):
        raise VersionNotSupported("This port speaks HTTP/1.1 and HTTP/1.0")


def _origin_form(method: bytes, target: bytes, fields: Fields) -> bytes:
    """The path and query of any form of target (RFC 9112 3.2)."""
    if _match_path(target) is not None:
        return target
    if target == b"*" and method == b"OPTIONS":
        return target
    absolute = _match_absolute(target)
    if absolute is None:
        raise Malformed("The request target is malformed")
    authority, path = absolute.groups()
    if _authority(authority) != _authority(fields.host):
        raise Malformed("The request target and the Host header name different hosts")
    return path if path[:1] == b"/" else b"/" + path


def _authority(host: bytes) -> bytes:
    return host.lower().removesuffix(b":80")


def _too_long(limits: Limits) -> TargetTooLong:
    return TargetTooLong(f"The request target is longer than {limits.target} bytes")
