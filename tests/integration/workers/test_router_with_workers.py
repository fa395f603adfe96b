"""`python -m router --workers 2` as its owner sees it: signals, exit status, nobody left behind, and every setting in force."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.proxy_protocol import SIGNATURE
from router.workers.crew import LOWER

CERTIFICATES = Path(__file__).resolve().parents[1] / "router"
PATIENCE = 20.0  # seconds
GET = b"GET /fn/hello?secret HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds children by /proc")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def gone(pids: list[int]) -> bool:
    """All of them, within patience."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.01)
    return False


def alive(pid: int) -> bool:
    """It is there, and no zombie. It may end while its file is being read: then there is nothing to read."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


class Router:
    """A router with two workers and a function that answers when the test says so."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.function = socket.create_server(("127.0.0.1", 0))
        self.function.settimeout(PATIENCE)
        self.open: list[socket.socket] = [self.function]
        self.log = folder / "router.log"
        self.out = folder / "router.out"
        route = f"hello=127.0.0.1:{self.function.getsockname()[1]}"
        command = [sys.executable, "-m", "router", "--listen", "127.0.0.1:0", "--workers", "2", "--route", route, *flags]
        with self.log.open("wb") as log, self.out.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=log, start_new_session=True)

    def port(self) -> int:
        """Where it listens, once it does."""
        end = time.monotonic() + PATIENCE
        while "listening on " not in self.log.read_text():
            assert time.monotonic() < end and self.process.poll() is None, self.log.read_text()
            time.sleep(0.01)
        return int(self.log.read_text().split("listening on 127.0.0.1:")[1].split(",")[0])

    def call(self) -> tuple[socket.socket, socket.socket]:
        """A request that is in flight: the client's end and the function's."""
        client = socket.create_connection(("127.0.0.1", self.port()), PATIENCE)
        client.sendall(GET)
        function, _ = self.function.accept()
        function.settimeout(PATIENCE)
        self.open += client, function
        assert function.recv(65536).startswith(b"GET /?secret HTTP/1.1\r\n")
        return client, function

    def close(self) -> None:
        for one in self.open:
            one.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[Router]:
    router = Router(folder, *flags)
    try:
        yield router
    finally:
        router.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM to the router", "Ctrl-C to the whole group"])
def test_a_signal_lets_what_is_in_flight_finish_and_ends_everything_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "--drain-delay", "0.2", "--drain-grace", "1.5") as router:
        client, function = router.call()
        workers = children(router.process.pid)
        assert len(workers) == 2
        assert platform.python_version() in router.log.read_text().splitlines()[0], "the start says what runs it"
        if number == signal.SIGINT:
            os.killpg(router.process.pid, number)
        else:
            router.process.send_signal(number)
        with socket.create_connection(("127.0.0.1", router.port()), PATIENCE):
            pass  # within the delay, clients are still accepted
        function.sendall(ANSWER)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert client.recv(65536) == b""
        assert router.process.wait(PATIENCE) == 0
        assert gone(workers)


def test_workers_whose_control_process_was_killed_finish_what_is_in_flight_and_end(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-grace", "1.5") as router:
        client, function = router.call()
        workers = children(router.process.pid)
        router.process.kill()
        router.process.wait()
        function.sendall(ANSWER)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert gone(workers)


def test_a_worker_goes_before_the_control_process_also_when_it_took_anothers_place(tmp_path: Path) -> None:
    with running(tmp_path) as router:
        router.port()
        first, _ = children(router.process.pid)
        os.kill(first, signal.SIGKILL)
        assert gone([first])
        end = time.monotonic() + PATIENCE
        while len(workers := [pid for pid in children(router.process.pid) if pid != first]) < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in (router.process.pid, *workers)] == [
            min(19, own + LOWER),
            own,
            own,
        ]


def test_tls_the_proxy_protocol_and_the_access_log_work_in_workers(tmp_path: Path) -> None:
    tls = ("--tls-certificate", str(CERTIFICATES / "localhost.pem"), "--tls-key", str(CERTIFICATES / "localhost.key.pem"))
    with running(tmp_path, *tls, "--proxy-protocol", "127.0.0.1/32", "--access-log", "1", "--drain-grace", "0.2") as router:
        plain = socket.create_connection(("127.0.0.1", router.port()), PATIENCE)
        ends = (
            socket.inet_aton("203.0.113.7") + socket.inet_aton("127.0.0.1") + (4711).to_bytes(2, "big") + (443).to_bytes(2, "big")
        )
        plain.sendall(SIGNATURE + b"\x21\x11" + len(ends).to_bytes(2, "big") + ends)
        context = ssl.create_default_context(cafile=str(CERTIFICATES / "localhost.pem"))
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(GET)
            function, _ = router.function.accept()
            assert b"X-Forwarded-For: 203.0.113.7\r\n" in function.recv(65536)
            function.sendall(ANSWER)
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
            function.close()
        router.process.terminate()
        assert router.process.wait(PATIENCE) == 0
        (line,) = router.out.read_text().splitlines()
        assert json.loads(line)["client"] == "203.0.113.7" and "secret" not in line


def test_a_certificate_that_cannot_be_read_stops_the_start_with_1_and_leaves_nobody_behind(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with running(tmp_path, "--tls-certificate", missing, "--tls-key", missing) as router:
        assert router.process.wait(PATIENCE) == 1
        assert missing in router.log.read_text()
        assert "Traceback" not in router.log.read_text()
