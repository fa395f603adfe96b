"""Limits of CPU time for replicas, by cgroups, where this process may make some; elsewhere there is none.

Looked for once. cgroup v2: the nearest ancestor of our own cgroup that hands the cpu controller down and that we may write
to (root has one; a desktop session under systemd's user@.service usually too). v1: the cpu hierarchy, as root.
Source: Linux, Documentation/admin-guide/cgroup-v2.rst, "Delegation" and "CPU Interface Files"; scheduler/sched-bwc.rst for v1.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

_PREFIX = "cloudbase-"  # of the names of our groups: cloudbase-<pid of the platform>-<owner>
PERIOD = 100_000  # µs, the kernel's default


@dataclass(frozen=True, slots=True)
class CpuGroups:
    """A cgroup of ours, with one below it for each replica. All methods block, up to some 10 ms, and raise no OSError."""

    folder: Path
    version: int  # 1 | 2

    def limit(self, name: str, pid: int, cpus: float) -> bool:
        """Let a process and what it starts use `cpus` CPUs at most. False when the kernel would not have it."""
        group = self.folder / name
        quota = max(int(cpus * PERIOD), 1000)  # µs in each period; the kernel takes no less
        try:
            group.mkdir(exist_ok=True)
            if self.version == 2:
                (group / "cpu.max").write_text(f"{quota} {PERIOD}")
            else:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            log.debug("%s: no limit of CPU time: %s", name, error)
            return False
        return True

    def drop(self, name: str) -> None:
        """Remove the group of a replica that has ended. One that cannot go yet goes with `remove`."""
        _rmdir(self.folder / name)

    def remove(self) -> None:
        """Remove everything."""
        if self.folder.exists():
            for group in [path for path in self.folder.iterdir() if path.is_dir()]:
                _rmdir(group)
            _rmdir(self.folder)


def find(owner: str, *, proc: Path = Path("/proc")) -> CpuGroups | None:
    """A cgroup to put the replicas of `owner` in; None where there cannot be one (macOS, most containers, plain users)."""
    name = f"{_PREFIX}{os.getpid()}-{owner}"
    try:
        own = [line.split(":", 2) for line in (proc / "self" / "cgroup").read_text().splitlines()]
        mounted = [line.split() for line in (proc / "mounts").read_text().splitlines()]
    except OSError:
        return None
    for _, controllers, path in own:
        if "cpu" in controllers.split(","):
            root = next(
                (Path(at) for _, at, kind, options, *_ in mounted if kind == "cgroup" and "cpu" in options.split(",")), None
            )
            return _make(root / path.lstrip("/") / name, 1) if root else None
    root = next((Path(at) for _, at, kind, *_ in mounted if kind == "cgroup2"), None)
    path = next((path for _, controllers, path in own if not controllers), "/")
    ancestor = _delegated(root, path) if root else None
    return _make(ancestor / name, 2) if ancestor else None


def _delegated(root: Path, path: str) -> Path | None:
    """The nearest ancestor whose children have the cpu controller, and where we may make some and move processes."""
    own = root / path.lstrip("/")
    for folder in [own, *own.parents]:
        if not folder.is_relative_to(root):
            return None
        try:
            handed_down = "cpu" in (folder / "cgroup.subtree_control").read_text().split()
        except OSError:
            continue
        if handed_down and os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK):
            return folder
    return None


def _make(folder: Path, version: int) -> CpuGroups | None:
    for left in folder.parent.glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():  # its platform was killed
            CpuGroups(left, version).remove()
    try:
        folder.mkdir(exist_ok=True)
        if version == 2:
            (folder / "cgroup.subtree_control").write_text("+cpu")
    except OSError:
        _rmdir(folder)
        return None
    return CpuGroups(folder, version)


def _rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        log.debug("%s: not removed: %s", folder, error)
