"""After kill -9 of the platform: nothing of it goes on running, and nothing else is hit."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.local import orphans
from controller.local.orphans import Ledger, identity, sweep
from tests.integration.controller_local.local_world import deployed

# Runs two replicas: one that watches its parent's pipe and one that watches nothing and has children of its own, of which
# one has left its session. Prints all pids and sleeps.
PLATFORM = """
import asyncio, os, sys, threading
from pathlib import Path
from tests.integration.controller_local.small_programs import HELLO, program
from tests.integration.controller_local.local_world import deployed, ready, texts_of, until

FAMILY = '''
import subprocess
print(os.getpid(), *(subprocess.Popen(["sleep", "600"], start_new_session=away).pid for away in (False, True)), flush=True)
'''
async def main():
    async with deployed(Path(sys.argv[1]), **program(FAMILY)) as deployer:
        await deployer.ensure(HELLO, "hello-00001", "", 2)
        await until(deployer, ready(2))
        print(*await texts_of(deployer), flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def dead(pid: int) -> bool:
    return identity(pid) == ""


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


@pytest.fixture
def sleeper() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes that sleep, with these variables; ends them after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**env: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "600"], env={**os.environ, **env}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_nothing_survives_the_platform_and_its_next_start(data: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    platform = subprocess.Popen([sys.executable, "-c", PLATFORM, str(data)], env=env, stdout=subprocess.PIPE)
    assert platform.stdout is not None
    try:
        pids = [int(word) for word in platform.stdout.readline().split()]
    finally:
        platform.kill()
        platform.wait()
        platform.stdout.close()
    assert len(pids) == 6
    replicas, grandchildren = pids[0::3], [pid for pid in pids if pid not in pids[0::3]]
    try:
        if sys.platform == "linux":  # the kernel ends them; elsewhere those that do not watch the pipe wait for the next start
            assert eventually(lambda: all(map(dead, replicas)), 30.0)
        assert not any(map(dead, grandchildren))

        async def next_start() -> None:
            async with deployed(data):
                pass

        asyncio.run(next_start())

        assert eventually(lambda: all(map(dead, pids)), 30.0)
    finally:
        for pid in pids:
            if not dead(pid):
                os.kill(pid, signal.SIGKILL)


@linux
def test_a_process_that_only_has_the_pid_of_a_child_is_left_alone(
    data: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    stranger = sleeper()
    data.mkdir()
    boot = identity(stranger.pid).partition(":")[0]
    (data / "pids").write_text(f"{stranger.pid} {boot}:12345\nnonsense\n{stranger.pid} another-boot:1\n{os.getpid()}")

    assert sweep(data) == []
    assert stranger.poll() is None
    assert not (data / "pids").exists()


@linux
def test_a_child_that_cleared_its_environment_is_known_by_its_start_time(
    data: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    child = sleeper()
    data.mkdir()
    Ledger(data / "pids").add(child.pid)

    assert sweep(data) == [child.pid]
    assert child.wait(60) == -signal.SIGKILL


def test_a_child_of_another_data_folders_platform_is_left_alone(
    data: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    ours, theirs = sleeper(**orphans.marker(data)), sleeper(**orphans.marker(data.parent / "other"))
    data.mkdir()

    assert sweep(data) == [ours.pid]
    assert ours.wait(60) == -signal.SIGKILL
    assert theirs.poll() is None


@linux
def test_the_ledger_stays_small_and_forgets_those_that_ended(data: Path, sleeper: Callable[..., subprocess.Popen[bytes]]) -> None:
    data.mkdir()
    ledger = Ledger(data / "pids")
    child = sleeper()
    ledger.add(child.pid)
    for _ in range(500):
        ledger.add(os.getpid())
        ledger.remove(os.getpid())

    lines = (data / "pids").read_text().splitlines()

    assert len(lines) < 110
    assert f"{child.pid} {identity(child.pid)}" in lines
    ledger.remove(child.pid)
    assert (data / "pids").read_text() == ""
