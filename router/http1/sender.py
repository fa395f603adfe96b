"""Who sent a request, as far as heads are concerned: address, scheme, and whether its own X-Forwarded-* lines are believed."""

from __future__ import annotations

from dataclasses import dataclass

from router.http1.usual import usual


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one head. What exceeds them is refused before it costs anything."""

    head: int = 65536  # bytes, request line included: 431
    fields: int = 100  # field lines: 431
    target: int = 8192  # bytes of the request target: 414


class Sender:
    """One client connection's constant facts. `lines` are the forwarded lines of an ordinary request, up to the host."""

    __slots__ = ("address", "authority", "limits", "lines", "match_usual", "scheme", "trusted", "via")

    def __init__(
        self,
        address: bytes,
        limits: Limits,
        scheme: bytes = b"http",
        authority: bytes = b"localhost",
        trusted: bool = False,
        via: bytes = b"",
    ) -> None:
        self.address = address
        self.limits = limits
        self.match_usual = usual(limits.fields, via != b"")
        self.scheme = scheme
        self.authority = authority  # the router's own, for HTTP/1.0 requests without Host
        self.trusted = trusted  # it is in a configured network: what it says of X-Forwarded-* holds
        self.via = via  # what the router calls itself in Via; empty: it says nothing
        self.lines = b"%bX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: " % (
            self.passed(b"1"),
            address,
            scheme,
        )

    def passed(self, minor: bytes) -> bytes:
        """The line that says that a request in HTTP/1.`minor` came by here (RFC 9110 7.6.3), if there is to be one."""
        return b"Via: 1.%b %b\r\n" % (minor, self.via) if self.via else b""
