"""Users of functions in two runtimes, some called seldom enough to sleep. Functions: mixed-0 … mixed-5."""

import random

import _exact  # noqa: F401 - it listens
from locust import FastHttpUser, between, task

FUNCTIONS = [f"mixed-{number}" for number in range(6)]


class Visitor(FastHttpUser):
    """Mostly the popular ones; bodies now and then."""

    wait_time = between(0.05, 0.3)

    @task(20)
    def popular(self) -> None:
        """One of the first three."""
        self.client.get(f"/fn/{random.choice(FUNCTIONS[:3])}/?n={random.randrange(1000)}", name="popular")

    @task(4)
    def send(self) -> None:
        """A body of 16 KiB."""
        self.client.post(f"/fn/{random.choice(FUNCTIONS[:3])}/", data=b"x" * 16384, name="send")

    @task(1)
    def seldom(self) -> None:
        """One of the others."""
        self.client.get(f"/fn/{random.choice(FUNCTIONS[3:])}/", name="seldom")
