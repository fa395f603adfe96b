"""Identities for requests that come without one: X-Request-Id and traceparent (W3C Trace Context). No randomness in here but the seed."""

from __future__ import annotations

_SPREAD = 0x9E3779B97F4A7C15  # odd, so that multiples modulo 2**64 repeat only after 2**64 (Knuth's multiplicative hashing)
_MASK = (1 << 64) - 1


class Identity:
    """A source of identities: a random prefix and a counter, which costs a third of random bytes for each request.

    The trace flag says sampled, as if the request had begun in the function: a tracer that asks its parent would otherwise
    never record anything.
    """

    __slots__ = ("_count", "_prefix")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 16 or not any(seed):
            raise ValueError("the seed has 16 random bytes")
        self._prefix = seed[:8].hex().encode()
        self._count = int.from_bytes(seed[8:], "big")

    def lines(self, missing: int) -> bytes:
        """Field lines for what is missing: 1 = X-Request-Id, 2 = traceparent, 3 = both, which then share their number."""
        self._count = count = (self._count + _SPREAD) & _MASK
        if missing == 3:
            return b"X-Request-Id: %b%016x\r\ntraceparent: 00-%b%016x-%016x-01\r\n" % (
                self._prefix,
                count,
                self._prefix,
                count,
                count or 1,
            )
        if missing == 1:
            return b"X-Request-Id: %b%016x\r\n" % (self._prefix, count)
        return b"traceparent: 00-%b%016x-%016x-01\r\n" % (self._prefix, count, count or 1)
