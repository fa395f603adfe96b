"""Replicas of the local deployer that die, crash again and again, or never start: noticed, told, started anew."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from controller.local.launch import Launch
from controller.model import Function
from controller.ports import Replica
from tests.integration.controller_local.local_world import deployed, get, ready, until
from tests.integration.controller_local.small_programs import HELLO, program, scale


def test_a_killed_process_is_noticed_and_replaced_at_once(data: Path) -> None:
    async def scenario() -> None:
        async with deployed(data, **program()) as deployer:
            await scale(deployer, 1)
            before = (await until(deployer, ready(1)))[0]
            pid = int(await get(before.address))

            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            down = (await until(deployer, lambda replicas: not replicas[0].ready))[0]
            noticed = time.monotonic() - began
            after = (await until(deployer, ready(1)))[0]

            assert noticed < 0.25
            assert down.message == "killed by SIGKILL" and not down.crash_loop and not down.address
            assert after.name == before.name and after.restarts == 1 and after.address != before.address
            assert int(await get(after.address)) != pid

    asyncio.run(scenario())


def test_a_crash_loop_is_told_with_the_last_words_and_slows_down(data: Path) -> None:
    async def scenario() -> None:
        async with deployed(data, **program("print('no database', file=sys.stderr); sys.exit(3)")) as deployer:
            await scale(deployer, 1)
            looping = (await until(deployer, lambda replicas: replicas[0].crash_loop))[0]

            assert looping.message == "exited with status 3: no database (3 times in a row, next start in 0.2 s)"
            assert looping.restarts == 3
            began = time.monotonic()
            await until(deployer, lambda replicas: replicas[0].restarts == 5)
            assert time.monotonic() - began >= 0.2 + 0.4
            await scale(deployer, 0)  # and one in its pause goes at once
            await until(deployer, lambda replicas: not replicas, seconds=2)

    asyncio.run(scenario())


def test_what_a_starting_process_says_of_its_failure_is_the_message(data: Path) -> None:
    failing = "tell(failed='SyntaxError', message='main.py:3: invalid syntax'); sys.exit(81)"

    async def scenario() -> Replica:
        async with deployed(data, **program(failing)) as deployer:
            await scale(deployer, 1)
            return (await until(deployer, lambda replicas: replicas[0].restarts == 1))[0]

    assert asyncio.run(scenario()).message == "exited with status 81: SyntaxError: main.py:3: invalid syntax"


def test_a_process_that_never_listens_is_ended_and_told(data: Path) -> None:
    async def scenario() -> Replica:
        async with deployed(data, start_timeout=0.3, **program("time.sleep(600)")) as deployer:
            await scale(deployer, 1)
            return (await until(deployer, lambda replicas: replicas[0].restarts == 1))[0]

    assert asyncio.run(scenario()).message == "did not tell within 0.3 s that it listens"


def test_an_artifact_that_is_not_there_is_told_and_not_a_break_down(data: Path) -> None:
    def launcher(function: Function, revision: str, app: Path, env: Mapping[str, str]) -> Launch:
        return Launch((sys.executable, "-c", ""), env, app)

    async def scenario() -> Replica:
        async with deployed(data, launcher=launcher) as deployer:
            await deployer.ensure(HELLO, "hello-00001", "gone", 1)
            return (await until(deployer, lambda replicas: replicas[0].restarts == 1))[0]

    assert "cannot be started: its build is gone" in asyncio.run(scenario()).message
