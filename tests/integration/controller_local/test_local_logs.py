"""What replicas of the local deployer write: kept, followed, bounded, forgotten."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from controller.ports import LogLine
from tests.integration.controller_local.local_world import deployed, ready, texts_of, until
from tests.integration.controller_local.small_programs import program, scale


def test_logs_are_kept_over_restarts_and_followed_without_gap_or_repetition(data: Path) -> None:
    counting = """
print('half a line', end='', file=sys.stderr, flush=True)
def count():
    for number in range(2000):
        print(number, flush=number % 7 == 0)
    sys.stdout.flush()
threading.Thread(target=count).start()
"""

    async def scenario() -> None:
        async with deployed(data, **program(counting)) as deployer:
            await scale(deployer, 1)
            numbers: list[int] = []
            async with asyncio.timeout(60):
                async for line in deployer.logs("default", "hello", 100_000, True):
                    numbers.append(int(line.line))
                    if numbers[-1] == 1999:
                        break
            assert numbers == list(range(2000))
            await scale(deployer, 0)
            await until(deployer, lambda replicas: not replicas)
        async with deployed(data, **program()) as again:
            lines = [line async for line in again.logs("default", "hello", 2, False)]
            assert [(line.stream, line.line) for line in lines] == [("stdout", "1999"), ("stderr", "half a line")]
            assert lines[0].replica.startswith("hello-00001-") and lines[0].time.endswith("Z")

    asyncio.run(scenario())


def test_a_flood_of_lines_holds_neither_the_loop_nor_memory_nor_the_disk(data: Path) -> None:
    flood = "line = 'x' * 999 + chr(10)\nfor _ in range(30_000): sys.stdout.write(line)\nprint('end', flush=True)"

    async def scenario() -> None:
        late = 0.0
        async with deployed(data, **program(flood)) as deployer:
            await scale(deployer, 1)
            async with asyncio.timeout(100):
                while not [replica for replica in deployer.observe("default", "hello") if replica.ready]:
                    began = time.monotonic()
                    await asyncio.sleep(0.005)
                    late = max(late, time.monotonic() - began - 0.005)
            assert (await texts_of(deployer, 1)) == ["end"]
        assert late < 0.25
        assert sum(path.stat().st_size for path in (data / "logs").rglob("*.log*")) < 5 << 20

    asyncio.run(scenario())


def test_forgetting_a_function_ends_its_followers_and_deletes_its_logs(data: Path) -> None:
    async def scenario() -> None:
        async with deployed(data, **program("print('up', flush=True)")) as deployer:
            await scale(deployer, 1)
            await until(deployer, ready(1))

            async def follow() -> list[LogLine]:
                return [line async for line in deployer.logs("default", "hello", 10, True)]

            follower = asyncio.create_task(follow())
            await asyncio.sleep(0)
            await deployer.forget("default", "hello")

            assert [line.line for line in await asyncio.wait_for(follower, 5)] == ["up"]
            assert deployer.observe("default", "hello") == []
            assert not (data / "logs" / "hello").exists()

    asyncio.run(scenario())


def test_a_log_that_cannot_be_written_does_not_stop_its_function(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    flood = "line = 'x' * 999 + chr(10)\nfor _ in range(5_000): sys.stdout.write(line)\nsys.stdout.flush()"
    data.mkdir()
    (data / "logs").write_text("a file where the folder should be")

    async def scenario() -> None:
        async with deployed(data, **program(flood)) as deployer:
            await scale(deployer, 1)
            await until(deployer, ready(1))

    asyncio.run(scenario())
    assert "log lines of hello-00001" in caplog.text
