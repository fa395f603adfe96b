"""Clients that send their body in drops and read the answer in sips, beside fast ones who must not notice. Function: echo."""

import socket
import time
from urllib.parse import urlsplit

import _exact  # noqa: F401 - it listens
import gevent
from locust import FastHttpUser, User, constant, constant_throughput, task

DROPS = 10
DROP = b"x" * 512
PAUSE = 0.1  # seconds between two of them


class Slow(User):
    """A second to send 5 KiB, and a second to read them again."""

    weight = 2
    wait_time = constant(0.1)

    @task
    def trickle(self) -> None:
        """One request."""
        began, failure, length = time.perf_counter(), None, 0
        try:
            length = self._exchange()
        except Exception as error:
            failure = error
        took = (time.perf_counter() - began) * 1000 - 2 * DROPS * PAUSE * 1000
        self.environment.events.request.fire(
            request_type="POST", name="slow, beyond its own pauses", response_time=max(0.0, took), response_length=length,
            exception=failure, context={},
        )  # fmt: skip

    def _exchange(self) -> int:
        at = urlsplit(self.host)
        size = DROPS * len(DROP)
        with socket.create_connection((at.hostname, at.port or 80), timeout=30) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(
                f"POST /fn/echo/ HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()
            )
            for _ in range(DROPS):
                gevent.sleep(PAUSE)
                sock.sendall(DROP)
            got = b""
            for number in range(100_000):
                piece = sock.recv(1024)
                if not piece:
                    break
                got += piece
                if number < DROPS:
                    gevent.sleep(PAUSE)
        head, _, body = got.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0] or len(body) < size:
            raise AssertionError(f"a short or wrong answer: {got[:80]!r}, {len(body)} bytes of a body")
        return len(body)


class Fast(FastHttpUser):
    """Who is not to be held up by the others."""

    weight = 1
    wait_time = constant_throughput(10)

    @task
    def call(self) -> None:
        """A small body and the same one back."""
        self.client.post("/fn/echo/", data=b"x" * 64, name="fast")
