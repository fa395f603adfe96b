"""WebSockets that echo, every fourth message after a silence longer than the grace. Function: socket, idleGrace 1 s."""

import random
import time
from typing import Any

import _exact  # noqa: F401 - it listens
import gevent
from locust import User, constant, task
from websocket import WebSocket, create_connection

SILENCE = 2.0  # seconds


class Talker(User):
    """One connection for as long as the user lives."""

    wait_time = constant(0.1)
    socket: WebSocket

    def on_start(self) -> None:
        """Connect."""
        self._measured("connect", self._connect)

    def on_stop(self) -> None:
        """Say goodbye."""
        self.socket.close()

    @task(3)
    def echo(self) -> None:
        """A message, and the same one back."""
        self._measured("echo", self._echo)

    @task(1)
    def silent(self) -> None:
        """Say nothing for a while: the connection stays, and its replica with it."""
        gevent.sleep(SILENCE)
        self._measured("echo after a silence", self._echo)

    def _connect(self) -> None:
        self.socket = create_connection(self.host.replace("http", "ws", 1) + "/fn/socket/", timeout=30)

    def _echo(self) -> None:
        text = f"{random.getrandbits(64):x}"
        self.socket.send(text)
        if (got := self.socket.recv()) != text:
            raise AssertionError(f"sent {text!r}, got {got!r}")

    def _measured(self, name: str, act: Any) -> None:
        began, failure = time.perf_counter(), None
        try:
            act()
        except Exception as error:
            failure = error
        took = (time.perf_counter() - began) * 1000
        self.environment.events.request.fire(
            request_type="WS", name=name, response_time=took, response_length=0, exception=failure, context={}
        )
