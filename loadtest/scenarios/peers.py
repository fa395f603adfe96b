"""What warm and cold are compared with on one machine: nginx in front of the same server, and bare starts of that server."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from controller.local import toolchain
from controller.local.launch import inherited
from loadtest.coldstart import SAMPLE, bare_start
from loadtest.compare import place
from loadtest.local import environment
from loadtest.scenarios.target import Failed
from runtimes.catalog import RUNTIMES

CONFIG = Path(place.__file__).with_name("configs") / "nginx.conf"
START = 10.0  # seconds


class Peers(Protocol):
    """What a platform is compared with, where it runs."""

    def bare_starts(self, going_on: Callable[[], bool], pause: float) -> list[float]:
        """Start what a function of the node sample is without the platform, again and again while something goes on.

        `pause` in seconds between two. Milliseconds of each. Raises Failed.
        """

    def nginx(self) -> AbstractContextManager[str]:
        """URL of an nginx that serves the node sample at /fn/hello/, as the comparison configures it. Raises Failed."""


class Here:
    """Both as processes of this machine."""

    def bare_starts(self, going_on: Callable[[], bool], pause: float) -> list[float]:
        """See Peers."""
        taken = []
        while going_on():
            taken.append(bare_start())
            time.sleep(pause)
        return taken

    @contextlib.contextmanager
    def nginx(self) -> Iterator[str]:
        """See Peers. In front of a server of its own, the one that a function runs in."""
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
        if program is None:
            raise Failed("needs nginx, which it compares with: apt-get install nginx-light")
        server, listen = _free_port(), _free_port()
        with tempfile.TemporaryDirectory() as folder, _ended(_bare(server)):
            path = Path(folder) / "nginx.conf"
            path.write_text(configuration(folder, f"127.0.0.1:{listen}", f"127.0.0.1:{server}"))
            command = [program, "-c", str(path), "-p", folder]
            with _ended(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)):
                for port in (server, listen):
                    _until_listening(port)
                yield f"http://127.0.0.1:{listen}"


def configuration(folder: str, listen: str, upstream: str) -> str:
    """nginx.conf with these values."""
    text = CONFIG.read_text()
    for word, value in {"@DIR@": folder, "@LISTEN@": listen, "@UPSTREAM@": upstream}.items():
        text = text.replace(word, value)
    return text


def _bare(port: int) -> subprocess.Popen[bytes]:
    """The server that a function of this sample runs in, started by hand."""
    command = RUNTIMES["node"].command(toolchain.program("node")[0])
    env = {**inherited(environment()), "PORT": str(port), "HOST": "127.0.0.1", "CLOUDBASE_FUNCTION": "hello"}
    return subprocess.Popen(command, cwd=SAMPLE, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise Failed(f"nothing listens on port {port}: {error}") from error
        time.sleep(0.02)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
