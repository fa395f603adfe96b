"""A program under measurement: started on one CPU, watched, and ended with all the processes that it started in turn."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping

from loadtest.compare import proc
from loadtest.compare.place import HOME, Fault

STOP = 5.0  # seconds; a program that has not ended by then is killed


class Service:
    """A command that listens on a loopback port."""

    process: subprocess.Popen[bytes]

    def __init__(self, name: str, command: list[str], port: int, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.command = command
        self.port = port
        self.env = {**os.environ, "GOMAXPROCS": "1", **(env or {})}
        self.log = HOME / "log" / f"{name}.log"

    def start(self, cpu: int) -> None:
        """Start it on this CPU; it dies with us, even when we are killed. Raises Fault when its port is taken."""
        if answers(self.port):
            raise Fault(f"{self.name}: port {self.port} is taken by another program (BENCH_PORT moves all ports)")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        pinned = ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", str(cpu), *self.command]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                pinned, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        """End it: politely, then for good."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP)
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def pids(self) -> list[int]:
        """Its processes."""
        return proc.family(self.process.pid)

    def cpu(self) -> float:
        """CPU seconds of its processes so far."""
        return proc.cpu_seconds(self.pids())

    def rss(self) -> float:
        """Resident memory of its processes in MiB."""
        return proc.rss_mib(self.pids())

    def fault(self, what: str) -> Fault:
        """A Fault about this program, with the end of its log."""
        code = self.process.poll()
        ended = "" if code is None else f" (it has ended, status {code})"
        tail = self.log.read_text(errors="replace")[-1500:].strip()
        return Fault("\n".join(filter(None, [f"{self.name}: {what}{ended}", tail, f"log: {self.log}"])))


@contextlib.contextmanager
def running(service: Service, cpu: int, ready: Callable[[Service], None]) -> Iterator[Service]:
    """The service, started and ready; it is ended afterwards whatever happens."""
    service.start(cpu)
    try:
        ready(service)
        yield service
    finally:
        service.stop()


def answers(port: int) -> bool:
    """Does anything listen on this loopback port?"""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
