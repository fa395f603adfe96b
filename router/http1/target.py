"""The forms of a request target (RFC 9112 3.2): what goes on is the origin-form; what an absolute one names must be Host's.

Hosts are compared as RFC 9110 4.2.3 normalises them: without regard to case, and a scheme's own port is none.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from router.errors import Malformed, Misdirected
from router.http1.sender import Sender

REST: Final = rb"[\x21\x22\x24-\x7e]*"  # no "#", no control character, no byte above 0x7e
match_path: Final = re.compile(rb"/%b" % REST).fullmatch
_match_absolute: Final = re.compile(rb"(?i:(https?))://([^/?#]+)((?:[/?]%b)?)" % REST).fullmatch
_PORTS: Final = {b"http": b":80", b"https": b":443"}


class Named(NamedTuple):
    """What a target in absolute-form says besides the path."""

    scheme: bytes  # lower case
    authority: bytes  # as sent

    def agrees(self, host: bytes) -> bool:
        """Does a Host field name the same?"""
        return self._normal(host) == self._normal(self.authority)

    def _normal(self, host: bytes) -> bytes:
        return host.lower().removesuffix(_PORTS[self.scheme])


def other_form(method: bytes, target: bytes, sender: Sender) -> tuple[bytes, Named | None]:
    """The path and query of a target that is not in origin-form, and whom it names. Raises Malformed, Misdirected."""
    if target == b"*" and method == b"OPTIONS":
        return target, None
    absolute = _match_absolute(target)
    if absolute is None:
        raise Malformed("The request target is malformed")
    scheme, authority, path = absolute.groups()
    named = Named(scheme.lower(), authority)
    if named.scheme == b"https" and sender.scheme != b"https" and not sender.trusted:
        raise Misdirected("A target of https came over a connection without TLS, from none of the trusted networks")
    if not path:
        return b"*" if method == b"OPTIONS" else b"/", named  # RFC 9112 3.2.4: the asterisk-form of a host's own OPTIONS
    return path if path[:1] == b"/" else b"/" + path, named
