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

from loadtest.coldstart import bare_server, bare_start, free_port
from loadtest.compare import place
from loadtest.scenarios.target import Failed

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
        server, listen = free_port(), free_port()
        with tempfile.TemporaryDirectory() as folder, _ended(bare_server(server)()):
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
