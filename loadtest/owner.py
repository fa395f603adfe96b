"""Which of several processes behind one listening port has accepted a connection: /proc tells, so the server need not.

Linux only. /proc/net/tcp gives the inode of the server's end, /proc/PID/fd tells who holds it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from pathlib import Path

ESTABLISHED = "01"


def owners(connections: Iterable[socket.socket], pids: Iterable[int]) -> dict[socket.socket, int]:
    """connection -> the process that holds its far end. A connection that nobody has accepted yet is left out."""
    inodes = far_inodes(Path("/proc/net/tcp").read_text())
    holders = {inode: pid for pid in pids for inode in _sockets(pid)}
    ends = {connection: (connection.getpeername()[1], connection.getsockname()[1]) for connection in connections}
    return {connection: holders[inodes[end]] for connection, end in ends.items() if inodes.get(end) in holders}


def far_inodes(table: str) -> dict[tuple[int, int], int]:
    """(server's port, client's port) -> inode of the server's end, from /proc/net/tcp's text; both ends are on this machine."""
    found = {}
    for row in table.splitlines()[1:]:
        _, local, remote, state, *rest = row.split()
        if state == ESTABLISHED:
            found[_port(local), _port(remote)] = int(rest[5])
    return found


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _sockets(pid: int) -> list[int]:
    """Inodes of a process's sockets."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            kind, _, inode = str(entry.readlink()).partition(":")  # "socket:[12345]"
            if kind == "socket":
                found.append(int(inode.strip("[]")))
    return found
