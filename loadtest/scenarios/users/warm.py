"""Users who call one running function again and again. Function: hello."""

import exact  # noqa: F401 - it listens
from locust import FastHttpUser, constant_throughput, task


class Warm(FastHttpUser):
    """Ten calls a second each, on a connection that is kept."""

    wait_time = constant_throughput(10)

    @task
    def call(self) -> None:
        """A small answer."""
        self.client.get("/fn/hello/", name="warm")
