"""Single calls to a function that sleeps: each waits until it must have gone to sleep again. Function: sleepy, idleGrace 0.5 s.

Only answers that say what their wake cost (Server-Timing) count as `cold`.
"""

import os

import exact  # noqa: F401 - it listens
from locust import FastHttpUser, constant, task

PAUSE = float(os.environ.get("LOADTEST_COLD_PAUSE") or 2.5)  # seconds: the grace, a scaling tick and the end of the process


class Cold(FastHttpUser):
    """One call, then silence."""

    wait_time = constant(PAUSE)

    @task
    def call(self) -> None:
        """A call that wakes it."""
        with self.client.get("/fn/sleepy/", name="cold", catch_response=True) as answer:
            if "server-timing" not in {name.lower() for name in answer.headers or {}}:
                answer.request_meta["name"] = "not cold"
