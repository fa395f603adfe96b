"""kill -9, of a function and of the platform: the next requests are served, nothing is orphaned, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from loadtest.local import Platform, platform
from tests.e2e.functions_for_tests import PID, write
from tests.e2e.load import Load, together


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("crashing")) as running:
        folder = write(running.folder / "function", PID, "[scaling]\nmin = 1\n[env]\nKEPT = 'yes'\n")
        running.cli("deploy", str(folder), "--name", "pid")
        yield running


def pid(running: Platform) -> int:
    answer = running.call("pid")
    assert answer.status == 200, (answer.status, answer.body, running.said())  # type: ignore[attr-defined]
    return int(answer.body)  # type: ignore[attr-defined]


def alive(number: int) -> bool:
    """Whether the process runs; one that only waits for its status to be collected does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_a_function_killed_under_load_is_replaced_and_only_what_was_inside_it_is_lost(fresh: Platform) -> None:
    first = pid(fresh)

    async def killed_under_load() -> Load:
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(together(fresh.listen, "/fn/pid?ms=20", connections=10, each=60))
            await asyncio.sleep(0.3)
            os.kill(first, signal.SIGKILL)
        return load.result()

    load = asyncio.run(killed_under_load())

    assert len(load.failures) <= 10, load.failures  # one for each connection: what the process had begun
    assert {status for status, _ in load.answers} <= {200, 502}
    assert load.bodies() - {str(first).encode()}, "nobody else answered"
    assert pid(fresh) != first
    fresh.until("it is ready again", lambda: fresh.view("pid")["ready"])


def test_a_crash_loop_is_shown_as_a_condition_and_ends_with_the_fix(fresh: Platform) -> None:
    broken = write(
        fresh.folder / "looping", {"main.py": "import os\n\ndef handler(request):\n    os._exit(3)\n"}, "timeout = 1\n"
    )
    fresh.cli("deploy", str(broken), "--name", "looping")

    def shown() -> bool:
        assert fresh.call("looping").status in (502, 504)
        return fresh.view("looping")["reason"] == "CrashLoop"

    fresh.until("the crash loop is shown", shown, 60)
    write(broken, {"main.py": "def handler(request):\n    return 'mended'\n"})
    fresh.cli("deploy", str(broken), "--name", "looping")
    assert fresh.call("looping").body == b"mended"  # type: ignore[attr-defined]


def test_a_platform_killed_leaves_no_orphan_and_finds_everything_again(fresh: Platform) -> None:
    first = pid(fresh)
    before = fresh.view("pid")
    fresh.stop(signal.SIGKILL)

    fresh.start()

    assert not alive(first)
    after = fresh.view("pid")
    assert (after["spec"], after["generation"], after["createdAt"]) == (before["spec"], before["generation"], before["createdAt"])
    assert pid(fresh) != first
    fresh.until("there is one process again", lambda: len(fresh.children()) == 1)


def test_a_platform_killed_while_it_builds_finishes_the_deployment_after_the_restart(fresh: Platform) -> None:
    folder = write(fresh.folder / "late", {"main.py": "import time\ntime.sleep(1)\n\ndef handler(request):\n    return 'late'\n"})
    fresh.cli("deploy", str(folder), "--name", "late", "--no-wait")
    fresh.stop(signal.SIGKILL)

    fresh.start()

    fresh.until("it is ready", lambda: fresh.view("late").get("ready"))
    assert fresh.call("late").body == b"late"  # type: ignore[attr-defined]


def test_a_platform_that_is_stopped_lets_what_is_in_flight_finish(fresh: Platform) -> None:
    async def stopped_meanwhile() -> Load:
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(together(fresh.listen, "/fn/pid?ms=1500", connections=3, each=1))
            await asyncio.sleep(0.5)
            fresh.process.send_signal(signal.SIGTERM)
        return load.result()

    assert asyncio.run(stopped_meanwhile()).failures == []
    assert fresh.process.wait(20) == 0
    assert fresh.children() == []


def test_a_second_ctrl_c_ends_it_at_once_with_all_children(fresh: Platform) -> None:
    first = pid(fresh)

    async def stopped_twice() -> float:
        slow = asyncio.create_task(together(fresh.listen, "/fn/pid?ms=20000", connections=1, each=1))
        await asyncio.sleep(0.5)
        start = time.monotonic()
        fresh.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.3)
        fresh.process.send_signal(signal.SIGINT)
        await asyncio.to_thread(fresh.process.wait, 20)
        slow.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await slow
        return time.monotonic() - start

    assert asyncio.run(stopped_twice()) < 5
    assert fresh.process.returncode == 130
    assert not alive(first)
