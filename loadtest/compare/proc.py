"""What /proc tells of processes and CPUs: families, CPU seconds, resident memory. Linux only."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")  # clock ticks in a second
PROC = Path("/proc")


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command name (0: state, 1: parent, 3: session, 11-14: CPU); none when it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def family(leader: int) -> list[int]:
    """A process, its descendants, and all in the session that it leads."""
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    rows = {pid: (int(fields[1]), int(fields[3])) for pid in pids if (fields := stat(pid))}
    found: set[int] = set()
    while new := {
        pid for pid, (parent, session) in rows.items() if pid not in found and (leader in (session, parent) or parent in found)
    }:
        found |= new
    return sorted(found)


def cpu_seconds(pids: list[int]) -> float:
    """CPU seconds of these processes so far, their ended children included."""
    return sum(int(ticks) for pid in pids for ticks in stat(pid)[11:15]) / TICK


def rss_mib(pids: list[int]) -> float:
    """Resident memory of these processes in MiB; a shared page counts once for each."""
    kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            found = re.search(r"VmRSS:\s+(\d+)", (PROC / str(pid) / "status").read_text())
            kib += int(found[1]) if found else 0
    return kib / 1024


def busy(cpu: int) -> tuple[float, float]:
    """Seconds that a CPU has worked so far, and that the hypervisor withheld it."""
    line = re.search(rf"^cpu{cpu} (.*)", (PROC / "stat").read_text(), re.MULTILINE)
    assert line
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, line[1].split())
    return (user + nice + system + irq + softirq) / TICK, steal / TICK


def cpu_model() -> str:
    """The processor's name; "" where the kernel does not tell."""
    found = re.search(r"model name\s*:\s*(.*)", (PROC / "cpuinfo").read_text())
    return found[1] if found else ""
