"""Runs locust on many workers: a master (helm/loadtest starts one) is told what to do through its web interface."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from loadtest.scenarios.locusts import STOP, Order, Swarm, Written
from loadtest.scenarios.target import Failed

USERS: Mapping[str, tuple[str, ...]] = {  # scenario -> the classes of its locustfile
    "warm": ("Warm",),
    "cold": ("Cold",),
    "spike": ("Crowd",),
    "mixed": ("Visitor",),
    "websockets": ("Talker",),
    "slow": ("Slow", "Fast"),
    "rollout": ("Caller",),
}
PATIENCE = 30.0  # seconds for the web interface to answer
LOOK = 0.25  # seconds between two looks whether a run is over
FILES = {"_stats.csv": "/stats/requests/csv", "_failures.csv": "/stats/failures/csv", ".html": "/stats/report?download=1"}


class Workers:
    """The locust whose master's web interface is at `url`, reached from here; its files go to `results`."""

    def __init__(self, url: str, results: Path, least: int) -> None:
        """`least`: workers that must be there."""
        self._http = httpx2.Client(base_url=url, timeout=PATIENCE, trust_env=False)
        self._url, self._results, self._least = url, results, least

    def start(self, order: Order) -> Swarm:
        """See Swarms. The router is called as the workers reach it."""
        self._ready()
        threshold = order.threshold
        form = {
            "user_count": str(threshold.users), "spawn_rate": f"{threshold.spawn_rate:g}", "host": order.url,
            "run_time": f"{threshold.seconds:g}s", "user_classes": list(USERS[order.scenario]), "beside": "", **order.options,
        }  # fmt: skip
        told = self.ask("POST", "/swarm", data=form).json()
        if not told.get("success"):
            raise Failed(f"{self._url}: locust does not start {order.scenario}: {told.get('message')}")
        return _Run(self, self._results / order.files, threshold.seconds)

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> httpx2.Response:
        """One request of the web interface. Raises Failed."""
        try:
            answer = self._http.request(method, path, data=data)
        except httpx2.TransportError as error:
            raise Failed(f"{self._url} does not answer as locust's web interface: {error}") from error
        if answer.status_code != 200:
            raise Failed(f"{self._url}{path}: locust answers {answer.status_code}: {answer.text[:200]}")
        return answer

    def state(self) -> dict[str, Any]:
        """What the master knows of its workers and of the run."""
        found: dict[str, Any] = self.ask("GET", "/stats/requests").json()
        return found

    def _ready(self) -> None:
        """Wait until enough workers are there and none is busy."""
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            state = self.state()
            there = sum(worker["state"] != "missing" for worker in state.get("workers", ()))
            if there >= self._least and state["state"] in ("ready", "stopped"):
                return
            if time.monotonic() > deadline:
                raise Failed(f"{self._url}: {there} workers of {self._least}, and locust is {state['state']}")
            time.sleep(LOOK)


class _Run:
    def __init__(self, workers: Workers, prefix: Path, seconds: float) -> None:
        self._workers, self._prefix = workers, prefix
        self._until = time.monotonic() + seconds
        self._over = False

    def running(self) -> bool:
        return time.monotonic() < self._until

    def written(self) -> Written:
        time.sleep(max(0.0, self._until - time.monotonic()))
        deadline = time.monotonic() + 2 * STOP
        while self._workers.state()["state"] != "stopped":
            if time.monotonic() > deadline:
                raise Failed("locust did not end its users")
            time.sleep(LOOK)
        self._over = True
        for ending, path in FILES.items():
            Path(f"{self._prefix}{ending}").write_text(self._workers.ask("GET", path).text)
        exact = self._workers.ask("GET", "/exact").text
        return Written(Path(f"{self._prefix}_stats.csv").read_text(), exact)

    def end(self) -> None:
        if not self._over:
            self._over = True
            self._workers.ask("GET", "/stop")
