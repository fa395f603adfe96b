"""Workers as processes: small, replaced when they die, and gone when the router is."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.shared.crew_world import KEY, World, run
from tests.shared.waiting import until

HEAVY = {"starlette", "uvicorn", "httpx", "httpx2", "kubernetes", "prometheus_client", "redis", "click", "rich", "uvloop"}
LARGEST = 35  # MiB that a worker with a static table takes at rest


def resident(pid: int) -> float:
    """MiB."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def test_a_worker_imports_no_framework_no_client_and_no_kubernetes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # a real worker tells what it imports, to the end of its life

    async def story(world: World) -> None:
        world.put(world.function.address)
        assert await (await world.client()).get() == 200
        await world.plane.drain(1.0)

    run(story, workers=1)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in capfd.readouterr().err.splitlines()}
    assert "router" in imported and "msgspec" in imported
    assert not HEAVY & imported


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_at_rest_is_small() -> None:
    async def story(world: World) -> None:
        world.put(world.function.address)
        assert await (await world.client()).get() == 200
        assert resident(world.process(0).child.pid) <= LARGEST

    run(story, workers=1)


def test_a_killed_worker_is_replaced_with_the_whole_table_and_connections_meanwhile_are_not_refused() -> None:
    async def story(world: World) -> None:
        world.put(world.function.address)
        assert await (await world.client()).get() == 200
        before = world.process(0)
        os.kill(before.child.pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            assert [await (await world.client()).get() for _ in range(5)] == [200] * 5
        assert world.process(0) is not before and before.gone()

    run(story, workers=1)


def test_what_a_dead_worker_counted_stays_and_what_was_in_flight_there_does_not_linger() -> None:
    async def story(world: World) -> None:
        world.put(world.function.address, concurrency=2)
        client, other = await world.client(0), await world.client(1)
        assert [await client.get() for _ in range(3)] == [200] * 3
        world.function.go.clear()
        lost = asyncio.create_task(client.get())
        await until(lambda: world.function.now == 1)
        await until(lambda: sum(one.present for one in world.plane.samples().values()) == 1)
        assert not await world.plane.idle(KEY)
        assert world.counted("in_flight") == 1
        os.kill(world.process(0).child.pid, signal.SIGKILL)
        with pytest.raises((EOFError, ConnectionError)):
            await lost
        await until(lambda: len(world.crewed.processes()) == 2)
        assert await world.plane.idle(KEY)
        assert world.counted("in_flight") == 0 and world.counted("requests_total", code="2xx") == 3
        assert not any(one.present for one in world.plane.samples().values())
        world.function.go.set()
        assert await other.get() == 200
        await until(lambda: world.counted("requests_total", code="2xx") == 4)

    run(story)


def test_a_drain_lets_what_is_in_flight_finish_in_every_worker() -> None:
    async def story(world: World) -> None:
        world.put(world.function.address)
        world.function.go.clear()
        calls = [asyncio.create_task((await world.client(place)).get()) for place in (0, 1)]
        await until(lambda: world.function.now == 2)
        draining = asyncio.create_task(world.plane.drain(3.0))
        await asyncio.sleep(0)
        world.function.go.set()
        assert await asyncio.gather(*calls) == [200, 200]
        processes = world.crewed.processes()
        await draining
        assert [process.child.returncode for process in processes] == [0, 0]

    run(story)


def test_a_worker_that_hangs_is_taken_for_dead() -> None:
    async def story(world: World) -> None:
        world.put(world.function.address)
        world.crewed.look_after = 0.05
        world.crewed._look_after()
        await until(lambda: world.process(0).silent() == 0)
        os.kill(world.process(0).child.pid, signal.SIGSTOP)
        async with asyncio.timeout(60):
            assert await (await world.client()).get() == 200

    run(story, workers=1)


def test_workers_that_are_killed_under_load_cost_only_what_was_on_their_connections() -> None:
    async def story(world: World) -> None:
        world.function.seconds = 0.002
        world.put(world.function.address)
        done = lost = 0
        stop = asyncio.Event()

        async def caller() -> None:
            nonlocal done, lost
            while not stop.is_set():
                client = await world.client()  # never refused: control holds the listeners
                try:
                    while not stop.is_set():
                        assert await client.get() == 200
                        done += 1
                except (EOFError, ConnectionError):
                    lost += 1

        callers = [asyncio.create_task(caller()) for _ in range(8)]
        counted = 0.0
        for place in (0, 1, 0):
            victim, before = world.process(place), done
            os.kill(victim.child.pid, signal.SIGKILL)
            while world.places().get(place, victim) is victim or done < before + 50:
                now = world.counted("requests_total", code="2xx")
                assert now >= counted, "a counter went backwards"
                counted = now
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*callers)
        assert lost <= 3 * 8
        # An answer may have left in a worker's last breath, before it was counted.
        assert done - 3 <= world.counted("requests_total", code="2xx") <= done + lost

    run(story)
