"""Request heads, strictly: what arrives becomes a method, a raw target and field lines that may go on as they are.

The usual head costs two regular expressions and no Python for each field; what they do not accept goes the slow way, which
either says why it is refused or accepts what is merely rare.
"""

from __future__ import annotations

import re
from typing import Final

from router.errors import HeadTooLarge, Malformed, TargetTooLong, VersionNotSupported
from router.http1 import grammar
from router.http1.fields import Fields, Read, read_fields, read_strictly
from router.http1.grammar import CRLF
from router.http1.hops import COUNTED, count_down
from router.http1.sender import Limits, Sender
from router.http1.target import REST, Named, match_path, other_form

# One empty line before a request is forgiven (RFC 9112 2.2).
# The path is matched raw: a name spelt with percent-encoding is another name. OPTIONS and TRACE count their hops: the slow way.
_METHOD: Final = rb"[A-Z][A-Z\-_]{0,19}"
_match_line: Final = re.compile(
    rb"(?:\r\n)?(?!(?:CONNECT|OPTIONS|TRACE) )(%b) /fn/([^/?#%%\x00-\x20\x7f-\xff]+)((?:[/?]%b)?) HTTP/1\.([01])\r\n"
    % (_METHOD, REST)
).match
_match_other: Final = re.compile(rb"(?:\r\n)?([^ \r\n]+) ([^ \r\n]+) HTTP/([0-9])\.([0-9])\r\n").match
_match_method: Final = re.compile(_METHOD).fullmatch
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
        if not self.segment:
            return self
        uncut = Request(self.method, b"", b"/fn/" + self.segment + self.rest, self.read)
        uncut.own = self.own
        return uncut


NOTHING: Final = Request(b"", b"", b"", (Fields(b"1", b"", 0, True, 0, None, b""), b"", b""))  # where none is kept


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
    path, named = (target, None) if match_path(target) is not None else other_form(method, target, sender)
    block = data[line.end() : end + 2]
    counted = method in COUNTED and b"max-forwards" in block.lower()
    read = read_strictly(block, minor, sender) if counted else read_fields(block, minor, sender, last)
    if named is not None:
        read = _agreed(read, named, block, sender)
    function = _match_function(path)
    request = Request(method, b"", path, read) if function is None else Request(method, function[1], function[2], read)
    if counted:
        request.own = count_down(request.own, method)  # in `read` it stays: the next head may be read by it
    return request


def _agreed(read: Read, named: Named, block: bytes, sender: Sender) -> Read:
    """What was read, if Host names what an absolute-form does (RFC 9112 3.2.2). HTTP/1.0 needs no Host: the target is one."""
    host = read[0].host
    if not host:
        return read_strictly(b"Host: " + named.authority + CRLF + block, b"0", sender)
    if not named.agrees(host):
        raise Malformed("The request target and the Host header name different hosts")
    return read


def _check_line(method: bytes, major: bytes, minor: bytes) -> None:
    if method == b"PRI":
        raise Malformed("This port speaks HTTP/1.1, not HTTP/2")
    if _match_method(method) is None:
        raise Malformed("The method is malformed: upper-case letters are expected")
    if method == b"CONNECT":
        raise Malformed("CONNECT is not supported here")
    if major != b"1" or minor not in (b"0", b"1"):
        raise VersionNotSupported("This port speaks HTTP/1.1 and HTTP/1.0")


def _too_long(limits: Limits) -> TargetTooLong:
    return TargetTooLong(f"The request target is longer than {limits.target} bytes")
