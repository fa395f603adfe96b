"""Identities for requests without one: X-Request-Id and traceparent (W3C Trace Context). No randomness in here but the seed."""

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

    def lines(self, missing: int, segment: bytes) -> bytes:
        """The field lines that depend on the request alone: X-Forwarded-Prefix for `/fn/<segment>`, when there is one, and the
        identities that are missing (1 = X-Request-Id, 2 = traceparent, 3 = both, which then share their number)."""
        prefix = b"X-Forwarded-Prefix: /fn/" + segment + b"\r\n" if segment else b""
        if not missing:
            return prefix
        self._count = count = (self._count + _SPREAD) & _MASK
        if missing == 3:
            number = b"%b%016x" % (self._prefix, count)
            return b"%bX-Request-Id: %b\r\ntraceparent: 00-%b-%016x-01\r\n" % (prefix, number, number, count or 1)
        if missing == 1:
            return b"%bX-Request-Id: %b%016x\r\n" % (prefix, self._prefix, count)
        return b"%btraceparent: 00-%b%016x-%016x-01\r\n" % (prefix, self._prefix, count, count or 1)
