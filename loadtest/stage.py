"""The stage of a load test: the real router on one CPU, a function stand-in that shares another with the load. Linux."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtest.compare import proc
from loadtest.launch import FUNCTION, ROOT, environment, interpreter
from loadtest.openloop import Address

START = 30.0  # seconds; a router that does not answer by then has failed
STOP = 10.0  # seconds after which it is killed
EACH = 0.25  # seconds between two looks at memory


@dataclass(frozen=True, slots=True)
class Stage:
    """A running router with one function behind it."""

    router: subprocess.Popen[bytes]
    address: Address  # of the router
    function: Address
    path: str = f"/fn/{FUNCTION}/"

    def pids(self) -> list[int]:
        """The router's processes."""
        return proc.family(self.router.pid)

    def most_in_flight(self) -> int:
        """The most requests that the function had at once, by its own count, since this was last asked."""
        return int(get_body(self.function, "/peak"))


class Memory:
    """Watches the resident memory of processes from a thread."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self.samples: list[float] = []  # MiB
        self._pids = pids
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def last(self) -> float:
        """MiB now."""
        return self.samples[-1]

    def growth(self, share: float) -> float:
        """MiB from the moment when this share of the time had passed until the end."""
        return self.last - self.samples[int(share * (len(self.samples) - 1))]

    def _watch(self) -> None:
        while not self._stop.wait(EACH):
            self.samples.append(proc.rss_mib(self._pids()))


@contextlib.contextmanager
def stage(service: float, concurrency: int, workers: int = 0) -> Iterator[Stage]:
    """Start a function that takes `service` seconds, and a router that gives it at most `concurrency` requests at once."""
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[-1]})
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            function = stack.enter_context(function_process(service))
            listen = free_address()
            command = ["-m", "loadtest.composed", text_of(listen), text_of(function), str(concurrency), str(workers)]
            router = stack.enter_context(router_process(command, folder, cpus[0]))
            it = Stage(router, listen, function)
            until_ready(router, listen, it.path, folder)
            it.most_in_flight()  # forget the attempts
            yield it
    finally:
        os.sched_setaffinity(0, cpus)


@contextlib.contextmanager
def function_process(service: float) -> Iterator[Address]:
    """A function stand-in that takes so many seconds; where it listens."""
    with subprocess.Popen([sys.executable, "-m", "loadtest.upstream", str(service)], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            yield "127.0.0.1", int(process.stdout.readline())
        finally:
            process.terminate()


@contextlib.contextmanager
def router_process(command: list[str], folder: Path, cpu: int) -> Iterator[subprocess.Popen[bytes]]:
    """The router on this CPU, its log in the folder; it is stopped, and killed when it does not stop."""
    pinned = ["taskset", "-c", str(cpu), interpreter(), *command]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(pinned, cwd=ROOT, env=environment(os.environ), stdout=log, stderr=log, start_new_session=True) as router,
    ):
        try:
            yield router
        finally:
            router.terminate()
            try:
                router.wait(STOP)
            except subprocess.TimeoutExpired:
                for pid in proc.family(router.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, 9)


def until_ready(router: subprocess.Popen[bytes], address: Address, path: str, folder: Path) -> None:
    """Until it answers with 200. Raises SystemExit with what it logged."""
    deadline = time.monotonic() + START
    while True:
        try:
            get_body(address, path)
            return
        except (OSError, http.client.HTTPException) as error:
            if router.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the router does not answer: {error}\n{(folder / 'log').read_text()[-2000:]}") from None
        time.sleep(0.05)


def get_body(address: Address, path: str) -> bytes:
    """The body of a 200."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=5)) as client:
        client.request("GET", path)
        answer = client.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(f"{path}: {answer.status} {body[:200]!r}")
        return body


def free_address() -> Address:
    """A loopback port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return "127.0.0.1", probe.getsockname()[1]


def text_of(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
