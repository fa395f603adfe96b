"""What goes on in the control process must not be felt: warm p99 with and without noise, alternating, in one run.

    python -m loadtest.quiet [--routes 10000] [--rate 1000] [--seconds 10] [--rounds 3]

Noise is a scrape and a scaling tick each second, and 200 table deltas a second, over all routes, each of which was called.
The bound: it raises the p99 of a warm function at 1,000 requests a second by at most 5 ms (medians of the rounds).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from loadtest.arrivals import poisson
from loadtest.launch import FUNCTION, ROOT
from loadtest.openloop import Address, OpenLoop, get
from loadtest.outcomes import Outcome, latencies, percentile, statuses
from loadtest.stage import free_address, function_process, router_process, text_of, until_ready
from loadtest.verdict import Claim, table, verdict

CONNECTIONS = 64
SETTLE = 2.0  # seconds of noise, or of silence, before it is measured

SCRAPER = """
import http.client, sys, time
while True:
    due = time.monotonic() + 1
    client = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=30)
    client.request("GET", "/metrics")
    began = time.monotonic()
    size = len(client.getresponse().read())
    print(size, time.monotonic() - began, flush=True)
    client.close()
    time.sleep(max(0, due - time.monotonic()))
"""


@dataclass
class Found:
    """What the rounds found: p99 in milliseconds, answers that were not 200, and the scraper's lines."""

    quiet: list[float] = field(default_factory=list)
    noisy: list[float] = field(default_factory=list)
    strange: int = 0
    scrapes: list[str] = field(default_factory=list)


def main(argv: list[str]) -> int:
    """Exit status 0 when the bound was kept, else 1."""
    args = _arguments().parse_args(argv)
    found = alternate(args.routes, args.rate, args.seconds, args.rounds)
    share = len(found.scrapes) / (args.rounds * (args.seconds + SETTLE))
    claims = [
        Claim("noise raises p99 by", statistics.median(found.noisy) - statistics.median(found.quiet), 5, "ms"),
        Claim("not answered with 200", found.strange, 0, ""),
        Claim("scrapes, share of one each second", share, 0.5, "", least=True),
    ]
    facts = [
        ("p99 in silence, by round", ", ".join(f"{each:.2f}" for each in found.quiet) + " ms"),
        ("p99 with noise, by round", ", ".join(f"{each:.2f}" for each in found.noisy) + " ms"),
        ("a scrape", f"{statistics.median(int(line.split()[0]) for line in found.scrapes) / 1e6:.1f} MB in "
                     f"{statistics.median(float(line.split()[1]) for line in found.scrapes):.2f} s"),
    ]  # fmt: skip
    print(table(f"{args.rate:g} requests/s, {args.routes} routes, one worker and its control process on one CPU", claims, facts))
    return 0 if verdict(claims) else 1


def alternate(routes: int, rate: float, seconds: float, rounds: int) -> Found:
    """Measure so many times in silence and so many with noise, by turns, at one router."""
    found = Found()
    with router_of(routes) as (router, address, admin):
        call_all(address, routes)
        measure(address, rate, 2.0, 0)  # connections, caches, the first samples
        for number in range(rounds):
            for noise, tails in ((False, found.quiet), (True, found.noisy)):
                with noise_of(router, admin, found.scrapes) if noise else contextlib.nullcontext():
                    time.sleep(SETTLE)
                    outcomes = measure(address, rate, seconds, number)
                tails.append(percentile(latencies(outcomes, 200), 0.99) * 1000)
                found.strange += sum(count for status, count in statuses(outcomes).items() if status != 200)
    return found


def measure(address: Address, rate: float, seconds: float, seed: int) -> list[Outcome]:
    """Requests to one warm function."""
    return OpenLoop(address, get(f"/fn/{FUNCTION}"), CONNECTIONS).run(poisson(rate, seconds, Random(seed)), seconds + 1.0)


def call_all(address: Address, routes: int) -> None:
    """Each route once, so that it has counters, windows and samples."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=10)) as client:
        for number in range(1, routes):
            client.request("GET", f"/fn/{FUNCTION}-{number}")
            client.getresponse().read()


@contextlib.contextmanager
def router_of(routes: int) -> Iterator[tuple[subprocess.Popen[bytes], Address, Address]]:
    """The router on one CPU, its function and everything else on another; its addresses for traffic and for the admin port."""
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[-1]})
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            function = stack.enter_context(function_process(0.0))
            address, admin = free_address(), free_address()
            words = ["-m", "loadtest.noisy", text_of(address), text_of(admin), text_of(function), str(routes)]
            router = stack.enter_context(router_process(words, folder, cpus[0]))
            until_ready(router, address, f"/fn/{FUNCTION}", folder)
            yield router, address, admin
    finally:
        os.sched_setaffinity(0, cpus)


@contextlib.contextmanager
def noise_of(router: subprocess.Popen[bytes], admin: Address, scrapes: list[str]) -> Iterator[None]:
    """Deltas and scaling ticks in the control process, and a scraper. `scrapes` gets a line of bytes and seconds for each."""
    leader = router.pid
    os.kill(leader, signal.SIGUSR1)
    command = [sys.executable, "-c", SCRAPER, admin[0], str(admin[1])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as scraper:
        try:
            yield
        finally:
            scraper.terminate()
            assert scraper.stdout
            scrapes += scraper.stdout.read().splitlines()
            os.kill(leader, signal.SIGUSR1)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.quiet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--routes", type=int, default=10_000, help="routes (10000)")
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second (1000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement (10)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements with noise, and as many without (3)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
