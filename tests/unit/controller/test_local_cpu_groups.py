"""Where replicas' CPU limits find a cgroup, over folders that look like the kernel's."""

from __future__ import annotations

import os
from pathlib import Path

from controller.local.cpu import find

NAME = f"cloudbase-{os.getpid()}-me"


def machine(tmp_path: Path, own: str, mounts: str, groups: dict[str, str]) -> Path:
    """A /proc with our own cgroup and a mount table, and cgroups with what they hand down."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(own)
    (tmp_path / "mounts").write_text(mounts.replace("ROOT", str(tmp_path / "sys")))
    for path, handed_down in groups.items():
        folder = tmp_path / "sys" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.subtree_control").write_text(handed_down)
        (folder / "cgroup.procs").write_text("1\n")
    return tmp_path


def test_v2_takes_the_nearest_ancestor_that_hands_the_cpu_controller_down(tmp_path: Path) -> None:
    groups = {"": "cpu memory", "user": "cpu memory pids", "user/app": "memory", "user/app/own": ""}
    paths = machine(tmp_path, "0::/user/app/own\n", "cgroup2 ROOT cgroup2 rw 0 0\n", groups)

    found = find("me", proc=paths)

    assert found is not None and found.folder == tmp_path / f"sys/user/{NAME}" and found.version == 2
    assert (found.folder / "cgroup.subtree_control").read_text() == "+cpu"


def test_v2_writes_quota_and_period_in_microseconds(tmp_path: Path) -> None:
    paths = machine(tmp_path, "0::/\n", "cgroup2 ROOT cgroup2 rw 0 0\n", {"": "cpu"})
    found = find("me", proc=paths)
    assert found is not None

    assert found.limit("hello-1", 42, 0.25)

    assert (found.folder / "hello-1" / "cpu.max").read_text() == "25000 100000"
    assert (found.folder / "hello-1" / "cgroup.procs").read_text() == "42"


def test_where_nothing_is_handed_down_there_is_no_limit(tmp_path: Path) -> None:
    paths = machine(tmp_path, "0::/own\n", "cgroup2 ROOT cgroup2 rw 0 0\n", {"": "memory", "own": "cpuset"})

    assert find("me", proc=paths) is None


def test_v1_takes_the_cpu_hierarchy(tmp_path: Path) -> None:
    own = "3:cpuset:/\n2:cpu,cpuacct:/own\n1:memory:/x\n0::/\n"
    mounts = "cgroup /elsewhere cgroup rw,cpuset 0 0\ncgroup ROOT cgroup rw,cpu,cpuacct 0 0\n"
    found = find("me", proc=machine(tmp_path, own, mounts, {"own": ""}))
    assert found is not None and found.folder == tmp_path / f"sys/own/{NAME}"

    assert found.limit("hello-1", 42, 1.5)

    assert (found.folder / "hello-1" / "cpu.cfs_quota_us").read_text() == "150000"


def test_a_system_without_proc_has_no_cgroups(tmp_path: Path) -> None:
    assert find("me", proc=tmp_path / "none") is None


def test_what_a_killed_platform_left_is_removed_and_a_live_ones_is_not(tmp_path: Path) -> None:
    paths = machine(tmp_path, "2:cpu:/\n", "cgroup ROOT cgroup rw,cpu 0 0\n", {})
    dead, live = tmp_path / "sys" / "cloudbase-4194305-x", tmp_path / "sys" / f"cloudbase-{os.getppid()}-x"  # above pid_max
    (dead / "hello-1").mkdir(parents=True)
    live.mkdir()

    assert find("me", proc=paths) is not None

    assert not dead.exists()
    assert live.exists()
