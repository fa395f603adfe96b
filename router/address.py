"""Addresses as users write them: "127.0.0.1:8080", "[::1]:8080", "unix:/path.sock"."""

from __future__ import annotations

import socket
from functools import lru_cache


@lru_cache(maxsize=4096)
def parse_address(text: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    """Family and socket address. Raises ValueError with a sentence."""
    if text.startswith("unix:"):
        return socket.AF_UNIX, text[5:]
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f'"{text}" is not an address: "host:port", "[ipv6]:port" or "unix:/path" is expected')
    if host.startswith("[") and host.endswith("]"):
        return socket.AF_INET6, (host[1:-1], int(port))
    return socket.AF_INET, (host, int(port))
