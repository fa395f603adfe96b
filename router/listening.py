"""Listening sockets: one, or one for each worker on the same address."""

from __future__ import annotations

import resource
import socket
import sys

from router.address import parse_address

BACKLOG = 4096
_RESERVED = 128  # descriptors for all that is no connection of the data plane
_PLENTY = 1 << 20  # client connections, where descriptors have no limit


def allow_connections() -> None:
    """As many descriptors as this process may have: the soft limit, 1,024 on most systems, is for programs that use select().

    Workers inherit it. Whoever starts programs of others (local mode) leaves it: some close every number that could be open.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ValueError, OSError):
        pass  # macOS names a limit that it does not grant: then it stays as it was


def room_for_clients() -> int:
    """How many client connections leave each of them a descriptor for its way to a function, and some for everything else."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return _PLENTY
    return max(1, (limit - min(_RESERVED, limit // 8)) // 2)


def bind(text: str, reuse_port: bool = False) -> socket.socket:
    """A listening socket for an address. Raises OSError."""
    family, address = parse_address(text)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def bind_all(text: str, workers: int) -> list[socket.socket]:
    """A listening socket for each worker. Raises OSError.

    On Linux the kernel shares connections out among those of one port (SO_REUSEPORT). It does not for unix sockets, nor do other
    systems: there all workers accept from one.
    """
    if parse_address(text)[0] == socket.AF_UNIX or sys.platform != "linux":
        one = bind(text)
        return [one, *(one.dup() for _ in range(workers - 1))]
    bind(text).close()  # with SO_REUSEPORT another program of the same user could share the port, unnoticed
    first = bind(text, reuse_port=True)
    try:
        return [first, *(bind(name_of(first), reuse_port=True) for _ in range(workers - 1))]
    except OSError:
        first.close()
        raise


def name_of(sock: socket.socket) -> str:
    """Where a socket really listens: port 0 takes a free one."""
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
