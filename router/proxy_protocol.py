"""PROXY protocol version 2 (HAProxy's proxy-protocol.txt, section 2.2): who the client is, as a load balancer saw it.

No socket in here. Version 1, the text form, is not accepted: it could be taken for the beginning of a request.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
FIXED: Final = 16  # bytes of the fixed part
MOST: Final = 4096  # bytes of addresses and extensions that are accepted


class BadPreface(ValueError):
    """Not a PROXY protocol header of version 2."""


def length(fixed: bytes) -> int:
    """Bytes behind the fixed part. Raises BadPreface."""
    if len(fixed) != FIXED or fixed[:12] != SIGNATURE or fixed[12] >> 4 != 2 or fixed[12] & 15 > 1:
        raise BadPreface("not a PROXY protocol version 2 header")
    rest: int = struct.unpack_from("!H", fixed, 14)[0]
    if rest > MOST:
        raise BadPreface(f"a PROXY protocol header of {rest} bytes; at most {MOST} are read")
    return rest


def source(fixed: bytes, rest: bytes) -> str:
    """The client's address, or "" when the balancer speaks for itself (LOCAL, or no IP family). Raises BadPreface."""
    if fixed[12] & 15 == 0:
        return ""
    family, size = fixed[13] >> 4, len(rest)
    if family == 1:
        if size < 12:
            raise BadPreface("a PROXY protocol header too short for IPv4 addresses")
        return socket.inet_ntop(socket.AF_INET, rest[:4])
    if family == 2:
        if size < 36:
            raise BadPreface("a PROXY protocol header too short for IPv6 addresses")
        return socket.inet_ntop(socket.AF_INET6, rest[:16])
    return ""
