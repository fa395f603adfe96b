"""The real router as a process of its own, in front of the functions of the corpus."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hostile.hostile_functions import Answerer, Recorder
from tests.shared.free_ports import free_port

ROOT = Path(__file__).resolve().parents[3]


@contextlib.contextmanager
def router(*routes: str) -> Iterator[int]:
    """`python -m router` with these routes; gives its port, and ends it properly."""
    port = free_port()
    command = [sys.executable, "-m", "router", "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen([*command, *(word for route in routes for word in ("--route", route))], cwd=ROOT)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, f"the router ended with status {process.returncode}"
            assert time.monotonic() < deadline, "the router does not listen"
            time.sleep(0.02)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    """The function `f`."""
    function = Recorder()
    yield function
    function.stop()


@pytest.fixture(scope="module")
def secret() -> Iterator[Recorder]:
    """The function `secret`, that no request of the corpus may reach."""
    function = Recorder()
    yield function
    function.stop()


@pytest.fixture(scope="module")
def answerer() -> Iterator[Answerer]:
    """The function `a`."""
    function = Answerer()
    yield function
    function.stop()


@pytest.fixture(scope="module")
def recording_router(recorder: Recorder, secret: Recorder) -> Iterator[int]:
    """A router in front of `f` and `secret`."""
    with router(f"f=127.0.0.1:{recorder.port}", f"secret=127.0.0.1:{secret.port}") as port:
        yield port


@pytest.fixture(scope="module")
def answering_router(answerer: Answerer) -> Iterator[int]:
    """A router in front of `a`."""
    with router(f"a=127.0.0.1:{answerer.port}") as port:
        yield port
