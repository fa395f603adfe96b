"""How far a request has come and may still go: Via, and Max-Forwards of OPTIONS and TRACE (RFC 9110 7.6.2 and 7.6.3).

With any other method Max-Forwards means nothing, and goes on as it came.
"""

from __future__ import annotations

import re
from typing import Final

from router.errors import LastHop, LoopDetected, Malformed, MethodNotAllowed

COUNTED: Final = (b"OPTIONS", b"TRACE")
ROUNDS: Final = 8  # how often a request may come by: functions that call others may pass their whole head on
_MOST: Final = 999_999_999  # the largest value that goes on
_find: Final = re.compile(rb"(?im)(?<=^max-forwards: ).*(?=\r\n)")


def count_down(lines: bytes, method: bytes) -> bytes:
    """These field lines, each `Name: value` and its CRLF, with the count one lower; without one, as they are.

    Raises Malformed: not one number. LastHop, MethodNotAllowed: it was 0, so the answer is the router's own.
    """
    found = _find.findall(lines)
    if not found:
        return lines
    if len(found) > 1 or not found[0].isdigit():
        raise Malformed("Max-Forwards is not one whole number")
    count = int(found[0].lstrip(b"0")[:10] or b"0")  # what is longer is beyond the bound, whatever follows
    if count == 0:
        raise _last_hop(method)
    return _find.sub(b"%d" % min(count - 1, _MOST), lines)


def _last_hop(method: bytes) -> LastHop | MethodNotAllowed:
    """A TRACE is not sent back: what proxies on the way added to it, and credentials, are not for a script to read."""
    if method == b"TRACE":
        return MethodNotAllowed("TRACE is not answered here: with Max-Forwards: 0 it would be for this router")
    return LastHop("OPTIONS of the router itself")


def check_loop(values: list[bytes], name: bytes) -> None:
    """Raise LoopDetected when these Via fields say that a request was here too often."""
    passed = sum(entry.split()[1:2] == [name] for value in values for entry in value.split(b","))
    if passed >= ROUNDS:
        raise LoopDetected(f"This request has come by here {passed} times already")
