"""Listening sockets, bound before anything else starts, so that a taken port costs nothing and says by whom."""

from __future__ import annotations

import errno
import socket

from cloudbase.errors import Misused, PortTaken
from cloudbase.occupant import who_listens
from cloudbase.settings import Address

BACKLOG = 4096


def listen(address: Address, flag: str) -> socket.socket:
    """A non-blocking socket that listens; port 0 takes a free one. `flag` is named in the hint. Raises PortTaken, Misused."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Misused(f"{flag}: cannot listen on {address}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _not_bound(address, flag, error) from error
    sock.setblocking(False)
    return sock


def bound(sock: socket.socket) -> Address:
    """Where the socket listens, with the port it was given."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def _not_bound(address: Address, flag: str, error: OSError) -> PortTaken | Misused:
    if error.errno == errno.EADDRINUSE:
        hint = f"stop that one, or choose another port with {flag} ({flag} {Address(address.host, 0)} takes a free one)"
        return PortTaken(f"{address} is taken by {who_listens(address.port)}", hint)
    if error.errno == errno.EACCES:
        return Misused(
            f"{flag}: {address} needs more rights", f"choose a port from 1024 on, such as {flag} {Address(address.host, 8080)}"
        )
    return Misused(f"{flag}: cannot listen on {address}: {error.strerror}")
