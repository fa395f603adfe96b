"""Throughput and latency: wrk against one target after the other, with the CPU that each of them used, and that others took."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.compare import proc
from loadtest.compare.checks import check_ready, shortfalls
from loadtest.compare.place import KIT
from loadtest.compare.scenarios import SCENARIOS
from loadtest.compare.service import Service, running

DISTURBED = 0.15  # share of a CPU taken by others that spoils a sample
RETRIES = 2  # more tries for a spoiled sample


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of wrk against one target."""

    scenario: str
    target: str
    round: int
    requests_s: float
    requests_cpu_s: float  # requests per CPU second of the target
    p50_ms: float
    p99_ms: float
    rss_mib: float
    cpu: float  # share of its CPU that the target used
    stolen: float  # share of the more disturbed CPU that others took
    steal: float  # share that the hypervisor withheld; part of stolen, except with one connection
    non2xx: int
    socket_errors: int

    @property
    def disturbed(self) -> bool:
        """Did others take too much CPU?"""
        return self.stolen > DISTURBED

    def line(self) -> str:
        """The sample for a person who waits."""
        rates = f"{self.requests_s:8.0f} req/s {self.requests_cpu_s:8.0f} req/cpu-s  p99 {self.p99_ms:.2f} ms"
        failed = self.non2xx or self.socket_errors
        errors = f"  ERRORS: {self.non2xx} non-2xx, {self.socket_errors} socket" if failed else ""
        disturbed = f"  disturbed: others took {self.stolen:.0%}" if self.disturbed else ""
        return f"{self.scenario:8} {self.target:13} {rates}{errors}{disturbed}"


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds so far."""

    wall: float
    target: float  # CPU of the target
    load: float  # CPU of wrk and the backend
    proxy_busy: float  # the proxy's CPU, whoever used it
    proxy_steal: float  # withheld by the hypervisor
    load_busy: float  # the load's CPU, whoever used it
    load_steal: float

    def since(self, before: Clocks) -> Clocks:
        """The seconds between the two."""
        return Clocks(*(getattr(self, name) - getattr(before, name) for name in Clocks.__slots__))

    def stolen(self, with_steal: bool) -> float:
        """CPU seconds that others took from the more disturbed CPU; the hypervisor's only when asked for."""
        from_proxy = self.proxy_busy - self.target + with_steal * self.proxy_steal
        from_load = self.load_busy - self.load + with_steal * self.load_steal
        return max(from_proxy, from_load, 0)


@dataclass(frozen=True, slots=True)
class Bench:
    """The running set-up: the backend, and who gets which CPU."""

    backend: Service
    proxy_cpu: int
    load_cpu: int

    def clocks(self, target: Service) -> Clocks:
        """All clocks now."""
        wrk = resource.getrusage(resource.RUSAGE_CHILDREN)
        load = wrk.ru_utime + wrk.ru_stime + self.backend.cpu()
        return Clocks(time.monotonic(), target.cpu(), load, *proc.busy(self.proxy_cpu), *proc.busy(self.load_cpu))

    def sample(self, target: Service, name: str, seconds: int, number: int) -> Sample:
        """Load the target once and see what it cost."""
        before = self.clocks(target)
        report = load(target, name, seconds)
        spent = self.clocks(target).since(before)
        # With one connection a virtual machine halts and wakes all the time, and every wake-up counts as steal.
        stolen = spent.stolen(with_steal=SCENARIOS[name].connections > 1)
        return Sample(
            scenario=name,
            target=target.name,
            round=number,
            requests_s=report["requests"] / report["seconds"],
            requests_cpu_s=report["requests"] / max(spent.target, 1 / proc.TICK),
            p50_ms=report["p50_ms"],
            p99_ms=report["p99_ms"],
            rss_mib=target.rss(),
            cpu=spent.target / spent.wall,
            stolen=stolen / spent.wall,
            steal=max(spent.proxy_steal, spent.load_steal) / spent.wall,
            non2xx=int(report["non2xx"]),
            socket_errors=int(report["socket_errors"]),
        )

    def samples(self, target: Service, name: str, seconds: int, number: int) -> Iterator[Sample]:
        """One sample, and more while they are disturbed."""
        for _ in range(1 + RETRIES):
            sample = self.sample(target, name, seconds, number)
            print(f"round {number}  {sample.line()}", file=sys.stderr)
            yield sample
            if not sample.disturbed:
                return


def load(target: Service, name: str, seconds: int) -> dict[str, float]:
    """Run wrk; the report of load.lua. Raises Fault when there is none."""
    scenario = SCENARIOS[name]
    url = f"http://127.0.0.1:{target.port}/fn/hello{scenario.path}"
    options = ["-t1", f"-c{scenario.connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(KIT / "src/load.lua")]
    out = subprocess.run(["wrk", *options, url, "--", name], capture_output=True, text=True)
    report = re.search(r"^\{.*\}$", out.stdout, re.MULTILINE)
    if not report:
        raise target.fault(f"wrk could not load it: {out.stdout}{out.stderr}")
    result: dict[str, float] = json.loads(report[0])
    return result


def measure(
    bench: Bench, targets: list[Service], names: list[str], rounds: int, seconds: int
) -> tuple[list[Sample], dict[str, list[str]]]:
    """All samples, target after target in turn, and what each target does less than the others."""
    found: list[Sample] = []
    with contextlib.ExitStack() as stack:
        for target in targets:
            stack.enter_context(running(target, bench.proxy_cpu, check_ready))
        for target in targets if names else []:
            load(target, "get", 1)  # warm up
        for number in range(1, rounds + 1):
            for name in names:
                turn = number % len(targets)  # nobody is always first
                for target in targets[turn:] + targets[:turn]:
                    found.extend(bench.samples(target, name, seconds, number))
        less = {target.name: shortfalls(target) for target in targets}
    return found, less
