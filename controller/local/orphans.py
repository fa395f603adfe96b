"""Ends what a killed platform left running: only processes that are provably its own, by start time or by a marker.

Three things keep a `kill -9` of the platform from leaving orphans. The kernel kills children on Linux (processes.py asks
for it); runtimes see the end of file on a pipe from us (docs/runtime-contract.md); and the next start comes here for the
rest: grandchildren, and on macOS programs that do not look at the pipe.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

LINUX = platform.system() == "Linux"

MARKER = "CLOUDBASE_OWNER"


def marker(data: Path) -> dict[str, str]:
    """The variable that says which data folder's platform started a process; children inherit it.

    It hashes the folder's path: a copy of the folder is another platform, and must not end the first one's processes.
    """
    return {MARKER: hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:32]}


class Ledger:
    """The file `pids`: one line "<pid> <identity>" for each child started, so that a later platform can end them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._live: dict[int, str] = {}
        self._lines = 0

    def add(self, pid: int) -> None:
        """Note a child that has just been started."""
        self._live[pid] = identity(pid)
        with self._path.open("a") as file:
            file.write(f"{pid} {self._live[pid]}\n")
        self._lines += 1
        if self._lines > 100 + 2 * len(self._live):
            self._compact()

    def remove(self, pid: int) -> None:
        """A child has ended. Its line may stay for a while: nobody else will ever have its pid and identity."""
        self._live.pop(pid, None)
        if not self._live:
            self._compact()

    def _compact(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(f"{pid} {who}\n" for pid, who in self._live.items()))
        fresh.replace(self._path)
        self._lines = len(self._live)


def sweep(data: Path) -> list[int]:
    """Kill what an earlier platform of this data folder left running; returns the pids. Blocking (some ms).

    Only for whoever holds the folder's lock: another live platform on it would lose its children.
    """
    recorded = dict(_recorded(data / "pids"))
    ended = [pid for pid in recorded if _kill(pid, lambda pid: identity(pid) == recorded[pid])]
    sign = "=".join(*marker(data).items())
    ours = {os.getpid(), os.getppid()}
    ended += [pid for pid in _marked(sign) if pid not in ours and _kill(pid, lambda pid: _has_marker(pid, sign))]
    (data / "pids").unlink(missing_ok=True)
    for pid in ended:
        log.warning("process %d: ended, since nobody tends it any more", pid)
    return ended


def identity(pid: int) -> str:
    """What no other process with this pid can have: boot and start time (Linux: clock ticks; macOS: to the second); "" = gone."""
    if LINUX:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        state, *fields = stat.rpartition(")")[2].split()
        return "" if state == "Z" else f"{_boot()}:{fields[18]}"  # field 22 of proc(5), counted from behind the name
    return "-".join(_ps("-o", "lstart=", "-p", str(pid)).split())


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _recorded(path: Path) -> Iterator[tuple[int, str]]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        pid, _, who = line.partition(" ")
        if pid.isdecimal() and who:  # the last line may be cut off
            yield int(pid), who


def _marked(sign: str) -> list[int]:
    """Processes of this user whose environment has the marker."""
    if LINUX:
        pids = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
        return [pid for pid in pids if _has_marker(pid, sign)]
    return [int(line.split(maxsplit=1)[0]) for line in _ps("-axwwE", "-o", "pid=,command=").splitlines() if f" {sign}" in line]


def _has_marker(pid: int, sign: str) -> bool:
    if not LINUX:
        return f" {sign}" in _ps("-wwE", "-o", "command=", "-p", str(pid))
    folder = Path(f"/proc/{pid}")
    try:
        return folder.stat().st_uid == os.getuid() and sign.encode() in (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # gone meanwhile, or not ours to read
        return False


def _kill(pid: int, proven: Callable[[int], bool]) -> bool:
    """SIGKILL to a process that is `proven` to be ours. One that went by itself meanwhile is not counted.

    On Linux the proof is taken while a pidfd holds the process, so that a pid given anew in between is never hit.
    """
    try:
        if not LINUX:
            if proven(pid):
                os.kill(pid, signal.SIGKILL)
                return True
            return False
        handle = os.pidfd_open(pid)
        try:
            if proven(pid):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return True
            return False
        finally:
            os.close(handle)
    except (ProcessLookupError, PermissionError):
        return False


def _ps(*arguments: str) -> str:
    return subprocess.run(["/bin/ps", *arguments], capture_output=True, text=True, timeout=10, check=False).stdout
