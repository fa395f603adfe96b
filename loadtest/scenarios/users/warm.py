"""Users who call one running function again and again; with --beside every second call goes to nginx instead. Function: hello.

By turns, because a busy moment of the machine is then one of both; one after the other, it would be one of either.
"""

from itertools import cycle

import _exact  # noqa: F401 - it has --beside
from locust import FastHttpUser, constant_throughput, task


class Warm(FastHttpUser):
    """Ten calls a second each, on connections that are kept; with --beside twenty, ten to each."""

    def on_start(self) -> None:
        """Where the calls go."""
        beside = self.environment.parsed_options.beside
        self.turns = cycle([("", "warm"), (beside, "nginx")] if beside else [("", "warm")])
        self.pace = constant_throughput(20 if beside else 10)

    def wait_time(self) -> float:
        """Seconds until the next call."""
        return float(self.pace(self))

    @task
    def call(self) -> None:
        """A small answer."""
        where, name = next(self.turns)
        self.client.get(f"{where}/fn/hello/", name=name)
