"""Single calls to a function that sleeps: each waits until it must have gone to sleep again. Function: sleepy, idleGrace 0.5 s.

Only answers that say what their wake cost (Server-Timing) count as `cold`. After another one the silence was too short: twice as
long, up to a minute.
"""

import _exact  # noqa: F401 - it has --pause
from locust import FastHttpUser, task


class Cold(FastHttpUser):
    """One call, then silence."""

    longer = 1.0  # times the pause

    def wait_time(self) -> float:
        """Seconds until the next call."""
        return min(60.0, self.longer * float(self.environment.parsed_options.pause))

    @task
    def call(self) -> None:
        """A call that wakes it."""
        with self.client.get("/fn/sleepy/", name="cold", catch_response=True) as answer:
            if answer.ok and "server-timing" not in {name.lower() for name in answer.headers or {}}:
                answer.request_meta["name"] = "not cold"
                self.longer *= 2
