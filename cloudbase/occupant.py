"""Who listens on a port: "pid 4711 (node server.js)", as far as this user may know. From /proc on Linux, from lsof elsewhere."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp
LSOF_SECONDS = 5.0


def who_listens(port: int, proc: Path = Path("/proc")) -> str:
    """The process that listens on the port, in words; "another process" when that cannot be learnt."""
    pid = _by_proc(port, proc) if (proc / "net" / "tcp").exists() else _by_lsof(port)
    if pid is None:
        return "another process (of another user, or in another container)"
    command = _command(pid, proc)
    return f"pid {pid} ({command})" if command else f"pid {pid}"


def _by_proc(port: int, proc: Path) -> int | None:
    inodes = {inode for name in ("tcp", "tcp6") for inode in _inodes(proc / "net" / name, port)}
    links = {f"socket:[{inode}]" for inode in inodes}
    pids = sorted(int(path.name) for path in proc.iterdir() if path.name.isdigit())
    return next((pid for pid in pids if any(link in links for link in _open_files(proc / str(pid)))), None)


def _inodes(table: Path, port: int) -> Iterator[str]:
    """Inodes of the listening sockets; the columns are in proc_net_tcp's documentation: 1 address:port, 3 state, 9 inode."""
    try:
        rows = table.read_text().splitlines()[1:]
    except OSError:
        return
    for row in rows:
        cells = row.split()
        if cells[3] == LISTENING and int(cells[1].rpartition(":")[2], 16) == port:
            yield cells[9]


def _open_files(process: Path) -> Iterator[str]:
    try:
        for link in (process / "fd").iterdir():
            yield str(link.readlink())
    except OSError:  # it has ended, or is not ours to look at
        return


def _by_lsof(port: int) -> int | None:
    command = ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-t"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=LSOF_SECONDS).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return int(found[0]) if found and found[0].isdigit() else None


def _command(pid: int, proc: Path) -> str:
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
        text = b" ".join(words).decode(errors="replace").strip()
    except OSError:
        try:
            command = ["ps", "-o", "command=", "-p", str(pid)]
            text = subprocess.run(command, capture_output=True, text=True, timeout=LSOF_SECONDS).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            return ""
    return text if len(text) <= 80 else text[:79] + "…"
