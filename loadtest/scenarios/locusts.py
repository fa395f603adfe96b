"""Runs locust headless in a process here, on one locustfile, and reads what it wrote."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loadtest.scenarios.target import Failed
from loadtest.scenarios.thresholds import Threshold

HERE = Path(__file__).resolve().parent
VENV = Path(os.environ.get("LOADTEST_VENV") or HERE.parents[1] / ".cache/loadtest-venv")
STOP = 30.0  # seconds that running requests have to finish, and locust itself to end


@dataclass(frozen=True, slots=True)
class Written:
    """Locust's statistics as CSV, and the exact latencies as JSON."""

    stats: str
    exact: str


@dataclass(frozen=True, slots=True)
class Order:
    """One run of locust that is wanted."""

    scenario: str
    url: str  # of the router
    threshold: Threshold
    options: Mapping[str, str]  # of the locustfile
    files: str  # what its CSV and HTML files are named after


class Swarm(Protocol):
    """One run of locust."""

    def running(self) -> bool:
        """Users still call."""

    def written(self) -> Written:
        """Wait for its end. Raises Failed."""

    def end(self) -> None:
        """Stop it if it still runs."""


class Swarms(Protocol):
    """Where locust runs."""

    def start(self, order: Order) -> Swarm:
        """Let the users of a scenario in. Raises Failed."""


class Here:
    """Locust as a process of this machine; its files go to `results`."""

    def __init__(self, results: Path) -> None:
        self._results = results

    def start(self, order: Order) -> Swarm:
        """See Swarms."""
        return _Process(self._results / order.files, order)


class _Process:
    def __init__(self, prefix: Path, order: Order) -> None:
        self._prefix = prefix
        threshold = order.threshold
        self._seconds = threshold.seconds
        command = [
            str(VENV / "bin/locust"), "-f", str(HERE / "users" / f"{order.scenario}.py"), "--host", order.url, "--headless",
            "-u", str(threshold.users), "-r", f"{threshold.spawn_rate:g}", "-t", f"{threshold.seconds:g}s",
            "--stop-timeout", f"{STOP:g}", "--only-summary", "--exit-code-on-error", "0",
            "--csv", str(prefix), "--html", f"{prefix}.html",
            *(f"--{name}={value}" for name, value in order.options.items()),
        ]  # fmt: skip
        env = {**os.environ, "LOADTEST_EXACT": f"{prefix}_exact.json"}
        self._log = Path(f"{prefix}.log").open("wb")  # noqa: SIM115 - closed with the process
        try:
            self._process = subprocess.Popen(command, env=env, stdout=self._log, stderr=self._log, start_new_session=True)
        except FileNotFoundError as error:
            raise Failed("locust is not installed: make loadtest installs it") from error

    def running(self) -> bool:
        return self._process.poll() is None

    def written(self) -> Written:
        try:
            status = self._process.wait(self._seconds + 2 * STOP)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"locust did not end: {self._prefix}.log") from error
        finally:
            self.end()
        if status:
            raise Failed(f"locust ended with {status}:\n{Path(f'{self._prefix}.log').read_text()[-2000:]}")
        return Written(Path(f"{self._prefix}_stats.csv").read_text(), Path(f"{self._prefix}_exact.json").read_text())

    def end(self) -> None:
        if self.running():
            self._process.kill()
            self._process.wait()
        self._log.close()
