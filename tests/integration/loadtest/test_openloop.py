"""The open-loop generator against a real server: it keeps its schedule, counts waits, and reports failures."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.arrivals import at_once, steady
from loadtest.openloop import OpenLoop, get
from loadtest.outcomes import percentile, statuses

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def function(seconds: float) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "loadtest.upstream", str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            yield "127.0.0.1", int(process.stdout.readline())
        finally:
            process.terminate()


def peak(address: tuple[str, int]) -> int:
    with socket.create_connection(address) as connection:
        connection.sendall(get("/peak"))
        return int(connection.recv(1000).rpartition(b"\r\n\r\n")[2])


def test_every_arrival_is_answered_and_a_slow_server_does_not_slow_the_schedule() -> None:
    with function(0.1) as address:
        outcomes = OpenLoop(address, get("/"), connections=100).run(steady(200, 0.25), 5)

        assert statuses(outcomes) == {200: 50}
        assert peak(address) >= 15  # 200 a second, each for 0.1 s: about 20 at once; a closed loop would hold fewer
        assert min(outcome.latency for outcome in outcomes) >= 0.099


def test_a_request_that_finds_no_connection_waits_and_its_wait_counts() -> None:
    with function(0.05) as address:
        outcomes = OpenLoop(address, get("/"), connections=1).run(at_once(6), 5)

        assert peak(address) == 1
        assert percentile([outcome.latency for outcome in outcomes], 1.0) >= 6 * 0.049


def test_connections_that_were_brought_along_are_the_only_ones_used() -> None:
    with function(0.01) as address:
        own = [socket.create_connection(address) for _ in range(2)]
        outcomes = OpenLoop(address, get("/"), connections=0, sockets=own, worker=7).run(at_once(10), 5)

        assert statuses(outcomes) == {200: 10}
        assert {outcome.worker for outcome in outcomes} == {7}
        assert peak(address) == 2


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"])
def test_a_connection_that_ends_before_its_answer_is_a_failure(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(3):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        outcomes = OpenLoop(listener.getsockname(), get("/"), connections=1).run(at_once(3), 5)
        thread.join()

    assert statuses(outcomes) == {0: 3}


def test_a_refused_connection_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

    outcomes = OpenLoop(address, get("/"), connections=2).run(at_once(4), 5)

    assert statuses(outcomes) == {0: 4}
