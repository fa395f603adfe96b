"""Identities for requests without one: X-Request-Id and traceparent (W3C Trace Context). No randomness in here but the seed."""

from __future__ import annotations

from typing import Final

_SPREAD: Final = (
    0x9E3779B97F4A7C15  # odd, so that multiples modulo 2**64 repeat only after 2**64 (Knuth's multiplicative hashing)
)
_MASK: Final = (1 << 64) - 1
_LOW: Final = tuple(b"%03x" % number for number in range(4096))  # the last digits, so that one request formats nothing


class Identity:
    """A source of identities: a random prefix and a counter whose upper digits are spread. Costs 0.25 us a request.

    The trace flag says sampled, as if the request had begun in the function: a tracer that asks its parent would otherwise
    never record anything.
    """

    __slots__ = ("_block", "_low", "_prefix", "_prefixes", "_request_id", "_span", "_trace")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 16 or not any(seed):
            raise ValueError("the seed has 16 random bytes")
        self._prefix = seed[:8].hex().encode()
        self._block = int.from_bytes(seed[8:], "big")
        self._low = 0
        self._prefixes: dict[bytes, bytes] = {b"": b""}  # by segment; only those of routes come here
        self._turn()

    def lines(self, missing: int, segment: bytes) -> bytes:
        """The field lines that depend on the request alone: X-Forwarded-Prefix for `/fn/<segment>`, when there is one, and the
        identities that are missing (1 = X-Request-Id, 2 = traceparent, 3 = both, which then share their number)."""
        prefix = self._prefixes.get(segment)
        if prefix is None:
            prefix = self._prefixes[segment] = b"X-Forwarded-Prefix: /fn/" + segment + b"\r\n"
        if not missing:
            return prefix
        low = self._low
        if low > 4095:
            low = self._turn()
        self._low = low + 1
        digits = _LOW[low]
        if missing == 3:
            return b"".join((prefix, self._request_id, digits, self._trace, digits, self._span, digits, b"-01\r\n"))
        if missing == 1:
            return b"".join((prefix, self._request_id, digits, b"\r\n"))
        return b"".join((prefix, self._trace[2:], digits, self._span, digits, b"-01\r\n"))

    def _turn(self) -> int:
        """The last digits are used up: turn the upper ones."""
        self._block = (self._block + _SPREAD) & _MASK
        upper = b"%b%013x" % (self._prefix, self._block >> 12)
        self._request_id = b"X-Request-Id: " + upper
        self._trace = b"\r\ntraceparent: 00-" + upper
        self._span = b"-%013x" % (self._block >> 12 | 1)
        return 0
