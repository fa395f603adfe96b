"""PROXY protocol v2: whom a balancer speaks for, and what is no such header."""

from __future__ import annotations

import socket
import struct

import pytest

from router.proxy_protocol import FIXED, MOST, SIGNATURE, BadPreface, length, source

V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4000, 80)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + V4[8:]
TLV = b"\x04\x00\x01x"


def fixed(version_and_command: int, family: int, size: int) -> bytes:
    return SIGNATURE + bytes((version_and_command, family)) + struct.pack("!H", size)


@pytest.mark.parametrize(
    ("version_and_command", "family", "rest", "address"),
    [
        (0x21, 0x11, V4, "192.0.2.7"),
        (0x21, 0x12, V4, "192.0.2.7"),
        (0x21, 0x11, V4 + TLV, "192.0.2.7"),
        (0x21, 0x21, V6, "2001:db8::7"),
        (0x21, 0x21, V6 + TLV * 100, "2001:db8::7"),
        (0x20, 0x11, V4, ""),  # LOCAL: a health check of the balancer's own
        (0x20, 0x00, b"", ""),
        (0x21, 0x00, b"", ""),  # UNSPEC
        (0x21, 0x31, bytes(216), ""),  # a unix socket has no address
    ],
)
def test_the_client_is_whom_the_balancer_names_or_the_balancer_itself(
    version_and_command: int, family: int, rest: bytes, address: str
) -> None:
    head = fixed(version_and_command, family, len(rest))
    assert len(head) == FIXED and length(head) == len(rest)
    assert source(head, rest) == address


@pytest.mark.parametrize(
    "head",
    [
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 80\r\n"[:FIXED],  # version 1: the beginning of a request might look so
        b"GET /fn/hello HTTP/1.1\r\n"[:FIXED],
        fixed(0x11, 0x11, 12),  # version 1 in the form of version 2
        fixed(0x31, 0x11, 12),
        fixed(0x22, 0x11, 12),  # a command nobody knows
        fixed(0x21, 0x11, MOST + 1),
        fixed(0x21, 0x11, 12)[:-1],
        SIGNATURE[:-1] + b"X" + fixed(0x21, 0x11, 12)[12:],
    ],
)
def test_what_is_no_header_of_version_2_is_refused(head: bytes) -> None:
    with pytest.raises(BadPreface):
        length(head)


@pytest.mark.parametrize(("family", "rest"), [(0x11, V4[:11]), (0x21, V6[:35]), (0x11, b""), (0x21, V4)])
def test_addresses_that_are_cut_short_are_refused(family: int, rest: bytes) -> None:
    with pytest.raises(BadPreface):
        source(fixed(0x21, family, len(rest)), rest)
