"""Users of a function that is deployed anew while they call it. Function: rollout, which answers with its revision's number."""

import _exact  # noqa: F401 - it listens
from locust import FastHttpUser, constant_throughput, task


class Caller(FastHttpUser):
    """Ten calls a second each; each answer's name says which revision gave it."""

    wait_time = constant_throughput(10)

    @task
    def call(self) -> None:
        """A small answer."""
        self.client.get("/fn/rollout/", name="rollout")
