"""Long, large and many: WebSockets, event streams, a gibibyte each way, and thousands of requests while replicas come and go."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import subprocess
import time
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from loadtest.local import ROOT, Platform
from tests.e2e.functions_for_tests import BULK, ECHO, PID, write
from tests.e2e.load import Connection, Load

GIBIBYTE = 1 << 30
GROWTH = 20.0  # MiB
PIECE = bytes(1 << 20)


@pytest.fixture(scope="module", autouse=True)
def _deployed(running: Platform, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("functions")
    for name, files, settings in (
        ("echo", ECHO, "[scaling]\nidleGrace = 1\n"),
        ("bulk", BULK, ""),
        ("many", PID, "[scaling]\nmin = 1\nmax = 4\ntarget = 25\n"),
    ):
        running.cli("deploy", str(write(folder / name, files, settings)), "--name", name)
    running.cli("deploy", str(ROOT / "examples" / "node-sse"), "--name", "events")


def url(running: Platform, name: str) -> str:
    return f"ws://{running.listen[0]}:{running.listen[1]}/fn/{name}"


def resident(pid: int) -> float:
    """MiB that a process has in memory."""
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    return int(shown) / 1024


def test_a_websocket_echoes(running: Platform) -> None:
    with connect(url(running, "echo")) as socket:
        for text in ("one", "two", "x" * 100_000):
            socket.send(text)
            assert socket.recv(timeout=60) == text


def test_a_websocket_that_is_silent_for_three_times_the_grace_keeps_its_replica(running: Platform) -> None:
    with connect(url(running, "echo"), ping_interval=None) as socket:
        socket.send("before")
        assert socket.recv(timeout=60) == "before"
        time.sleep(3.2)  # the grace is one second; real time is what is tested here
        assert running.view("echo")["replicas"] == 1
        socket.send("after")
        assert socket.recv(timeout=60) == "after"
    running.until("its replica goes when the WebSocket has closed", lambda: running.view("echo")["replicas"] == 0)


def test_each_event_of_a_stream_arrives_when_it_was_sent(running: Platform) -> None:
    with contextlib.closing(http.client.HTTPConnection(*running.listen, timeout=30)) as client:
        client.request("GET", "/fn/events?count=4&every=300")
        answer = client.getresponse()
        assert answer.headers["Content-Type"] == "text/event-stream"
        arrivals = []
        for line in answer:
            if line.startswith(b"data:"):
                arrivals.append(time.monotonic())
    gaps = [later - sooner for sooner, later in itertools.pairwise(arrivals)]
    assert len(gaps) == 3
    assert min(gaps) > 0.05 and sum(gaps) > 0.6, gaps  # sent 0.3 s apart; collected, they would arrive together


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count // len(PIECE)):
        yield PIECE


def upload(running: Platform, count: int) -> int:
    with contextlib.closing(http.client.HTTPConnection(*running.listen, timeout=120)) as client:
        client.request("POST", "/fn/bulk", pieces(count), {"Content-Length": str(count)})
        return int(client.getresponse().read())


def download(running: Platform, count: int) -> int:
    with contextlib.closing(http.client.HTTPConnection(*running.listen, timeout=120)) as client:
        client.request("GET", f"/fn/bulk?bytes={count}")
        answer = client.getresponse()
        got, buffer = 0, memoryview(bytearray(1 << 20))
        while size := answer.readinto(buffer):
            got += size
        return got


@pytest.mark.parametrize("transfer", [upload, download], ids=["upload", "download"])
def test_a_gibibyte_passes_in_little_memory(running: Platform, transfer: object) -> None:
    assert callable(transfer)
    assert transfer(running, 8 << 20) == 8 << 20  # buffers that stay are made now
    before = resident(running.process.pid)
    assert transfer(running, GIBIBYTE) == GIBIBYTE
    assert resident(running.process.pid) - before < GROWTH


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ten_thousand_requests_over_a_hundred_connections_see_no_error_while_replicas_go_from_one_to_four_to_one(
    running: Platform,
) -> None:
    assert running.view("many")["replicas"] == 1
    load, most = asyncio.run(_up_and_down(running))
    assert load.failures == []
    assert load.count >= 10_000
    assert most == 4
    assert len(load.bodies()) >= 4  # four processes answered
    assert running.view("many")["replicas"] == 1


async def _up_and_down(running: Platform) -> tuple[Load, int]:
    """100 busy connections until there are four replicas and 9,500 answers, then a trickle over them all until one is left."""
    load, most, calm, over = Load(), 1, asyncio.Event(), asyncio.Event()

    async def one(at: int) -> None:
        connection = Connection(running.listen)
        while not over.is_set():
            await connection.get("/fn/many?ms=40", load)
            if calm.is_set():
                await asyncio.sleep(2 + at / 50)
        connection.close()

    async def watch() -> None:
        nonlocal most
        replicas = 1
        while not (calm.is_set() and most == 4 and replicas == 1 and load.count >= 10_000):
            replicas = (await asyncio.to_thread(running.view, "many"))["replicas"]
            most = max(most, replicas)
            if most == 4 and load.count >= 9_500:
                calm.set()
            await asyncio.sleep(0.2)
        over.set()

    async with asyncio.TaskGroup() as tasks:
        for at in range(100):
            tasks.create_task(one(at))
        tasks.create_task(watch())
    return load, most
