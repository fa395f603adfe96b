"""Which client addresses belong to configured networks. Answers are remembered: the same proxies connect again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network


def membership(networks: tuple[str, ...]) -> Callable[[str], bool]:
    """A function that tells whether an address, as text, is in one of the networks. An IPv4-mapped one counts as its IPv4."""
    if not networks:
        return lambda _: False
    known = [ip_network(network) for network in networks]

    @lru_cache(maxsize=4096)
    def contains(text: str) -> bool:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in known)

    return contains
