"""Runs locust headless on one locustfile, and reads what it wrote."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

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


class Swarm:
    """One run of locust against one URL; its CSV and HTML files are named after it."""

    def __init__(self, locustfile: str, url: str, threshold: Threshold, results: Path, name: str) -> None:
        self._prefix = results / name
        results.mkdir(parents=True, exist_ok=True)
        command = [
            str(VENV / "bin/locust"), "-f", str(HERE / "users" / f"{locustfile}.py"), "--host", url, "--headless",
            "-u", str(threshold.users), "-r", f"{threshold.spawn_rate:g}", "-t", f"{threshold.seconds:g}s",
            "--stop-timeout", f"{STOP:g}", "--only-summary", "--exit-code-on-error", "0",
            "--csv", str(self._prefix), "--html", f"{self._prefix}.html",
        ]  # fmt: skip
        env = {**os.environ, "LOADTEST_EXACT": f"{self._prefix}_exact.json"}
        self._log = Path(f"{self._prefix}.log").open("wb")  # noqa: SIM115 - closed with the process
        try:
            self._process = subprocess.Popen(command, env=env, stdout=self._log, stderr=self._log, start_new_session=True)
        except FileNotFoundError as error:
            raise Failed("locust is not installed: make loadtest installs it") from error
        self._seconds = threshold.seconds

    def running(self) -> bool:
        """It has not ended yet."""
        return self._process.poll() is None

    def written(self) -> Written:
        """Wait for its end. Raises Failed."""
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
        """Kill it if it still runs."""
        if self.running():
            self._process.kill()
            self._process.wait()
        self._log.close()
