"""What following 10,000 Services and 50,000 endpoints costs: memory per object, time per event, resync, event to table.

    python -m loadtest.informer [--services 10000] [--rate 500]

A second process is the API server (kube.fake, over loopback) with objects as a real one sends them, managedFields and all; its
own time is in the seconds but not in the CPU figures, which are this process' alone. Routes go into a table as the router has it;
in the end it is compared with one that is made of a fresh list. Exit status 1: it differs, or an
event in a hundred took 50 ms to get there.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from kube.access import Given
from kube.cache import Cache, Delta
from kube.client import Client
from kube.codec import codec
from kube.errors import Attempt
from kube.informer import Informer
from kube.model import EndpointSlice
from kube.resource import ENDPOINT_SLICES, SERVICES, Resource
from kube.wire import Lines
from loadtest.informer_server import ENDPOINTS_PER_SLICE, STAMP, serve
from loadtest.informer_table import Tabled

LATE = 0.05  # seconds from an event to the table


def resident() -> int:
    """Bytes of memory that this process holds now (macOS: the most it ever held)."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Far:
    """The API server's process, told what to do line by line."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self.url = url

    @classmethod
    async def start(cls, services: int) -> Far:
        words = [sys.executable, "-m", "loadtest.informer", "--serve", "--services", str(services)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)
        assert process.stdout is not None
        return cls(process, (await process.stdout.readline()).decode().strip())

    async def order(self, line: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line.encode() + b"\n")
        return (await self._process.stdout.readline()).decode().strip()

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def measured(work: Callable[[], Awaitable[Any]]) -> tuple[float, float, int]:
    """Seconds, CPU seconds of this process, and bytes that it grew by."""
    memory, cpu, began = resident(), time.process_time(), time.perf_counter()
    await work()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    return seconds, cpu_seconds, resident() - memory


async def first_sync(informer: Informer[Any], tasks: list[asyncio.Task[None]]) -> None:
    async def sync() -> None:
        tasks.append(asyncio.create_task(informer.run()))
        await informer.wait_synced()

    seconds, cpu, grown = await measured(sync)
    number = len(informer)
    print(
        f"{informer.resource.plural:15} {number:6} objects  first sync {seconds:5.2f} s  CPU {cpu:5.2f} s"
        f"  {grown / number / 1024:5.2f} KiB for each object"
    )


async def resync(far: Far, informers: list[Informer[Any]]) -> None:
    """The version has expired (410): everything is listed again, nothing has changed."""

    async def again() -> None:
        await far.order("expire")
        async with asyncio.timeout(60):
            while any(informer.states()[""].lists < 2 for informer in informers):  # noqa: ASYNC110 - nobody signals it
                await asyncio.sleep(0.002)

    seconds, cpu, grown = await measured(again)
    deltas = sum(informer.states()[""].deltas for informer in informers) - sum(len(informer) for informer in informers)
    print(f"resync of all    {seconds:5.2f} s  CPU {cpu:5.2f} s  memory +{grown / 2**20:.1f} MiB  {deltas} deltas")


async def tabled(services: Informer[Any], slices: Informer[EndpointSlice]) -> Tabled:
    found = Tabled()

    async def follow() -> None:
        found.follow(services, slices)

    seconds, cpu, grown = await measured(follow)
    number = len(found.catalog.entries)
    print(f"{number} routes     table {seconds:5.2f} s  CPU {cpu:5.2f} s  {grown / number / 1024:5.2f} KiB for each route")
    return found


async def churn(far: Far, informer: Informer[EndpointSlice], rate: int, seconds: float, table: Tabled) -> bool:
    """True when events came to the table in time."""
    delays: list[float] = []

    def handle(delta: Delta[EndpointSlice]) -> None:
        if delta.new is not None and delta.old is not None and delta.new.metadata.annotations:
            delays.append(time.monotonic() - float(delta.new.metadata.annotations[STAMP]))

    informer.subscribe(handle)
    table.delays.clear()
    cpu = time.process_time()
    sent = int(await far.order(f"churn {rate} {seconds}"))
    async with asyncio.timeout(5):
        while len(delays) < sent or len(table.delays) < sent:  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.01)
    per_event = (time.process_time() - cpu) / sent
    print(f"{rate} events/s      CPU {per_event * 1e6:.0f} us for each event, everything included")
    say_delays("handler", delays)
    return say_delays("table", table.delays) < LATE


def say_delays(where: str, delays: list[float]) -> float:
    """Returns the 99th percentile."""
    delays.sort()
    p50, p99 = statistics.median(delays), delays[int(len(delays) * 0.99)]
    print(f"stored to {where:8} p50 {p50 * 1e3:.2f} ms  p99 {p99 * 1e3:.2f} ms  max {delays[-1] * 1e3:.2f} ms")
    return p99


async def decode_speed(client: Client, resource: Resource[Any]) -> None:
    """Lines of a watch that are in memory already: struct, cache and delta."""
    attempt = Attempt("watch", resource.title)
    lines: list[bytes] = []
    splitter = Lines()
    async with client.stream(attempt, resource.path(), {"watch": "1", "timeoutSeconds": "1"}, 10) as stream:
        async for chunk in stream.chunks(10):
            lines += splitter.feed(chunk)
    del lines[10_000:]
    decoder = codec(resource.struct)
    cache: Cache[Any] = Cache()
    began = time.process_time()
    events = [decoder.event(line) for line in lines]
    decoded = time.process_time()
    for event in events:
        cache.apply(event)
    applied = time.process_time()
    size = sum(map(len, lines)) / len(lines)
    print(
        f"{resource.plural:15} {size / 1024:.1f} KiB a line  decode {(decoded - began) / len(lines) * 1e6:.1f} us"
        f"  cache {(applied - decoded) / len(lines) * 1e6:.1f} us for each event"
    )


async def run(services: int, rate: int, seconds: float) -> int:
    """Exit status."""
    far = await Far.start(services)
    tasks: list[asyncio.Task[None]] = []
    print(f"{services} Services, {services * ENDPOINTS_PER_SLICE} endpoints; Python {sys.version.split()[0]}")
    try:
        async with Client(Given(far.url), timeout=60) as client:
            slices, plain = Informer(client, ENDPOINT_SLICES), Informer(client, SERVICES)
            for informer in (plain, slices):
                await first_sync(informer, tasks)
            await resync(far, [plain, slices])
            table = await tabled(plain, slices)
            in_time = await churn(far, slices, rate, seconds, table)
            wrong = await table.wrong(client)
            print(f"table compared with a fresh list: {len(wrong)} of {len(table.catalog.entries)} routes differ")
            for resource_ in (SERVICES, ENDPOINT_SLICES):
                await decode_speed(client, resource_)
            return int(bool(wrong) or not in_time)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await far.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.informer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--services", type=int, default=10_000, help="how many there are, each with a slice (10,000)")
    parser.add_argument("--rate", type=int, default=500, help="changes a second while the delay is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="of these changes")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.services))
    else:
        sys.exit(asyncio.run(run(arguments.services, arguments.rate, arguments.seconds)))


if __name__ == "__main__":
    main()
