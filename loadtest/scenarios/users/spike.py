"""A crowd before a function that sleeps: all come at once, and each gets an answer. Function: spike."""

import _exact  # noqa: F401 - it listens
from locust import FastHttpUser, constant_throughput, task


class Crowd(FastHttpUser):
    """Who comes at the first moment, and goes on calmly."""

    wait_time = constant_throughput(1)

    @task
    def call(self) -> None:
        """A small answer."""
        self.client.get("/fn/spike/", name="spike")
