"""A local platform as a child process, on free ports and in a folder of its own; for load tests and for end-to-end tests."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from controller.local import orphans

ROOT = Path(__file__).resolve().parent.parent
CLOUDBASE = (sys.executable, "-m", "cloudbase")
START = 60.0  # seconds until it listens
STOP = 30.0  # seconds after which it is killed
LOOK = 0.02  # seconds between two looks


class Platform:
    """`cloudbase dev` in `folder`, from `start` to `stop`; its log is in `<folder>/platform.log`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "platform.log"
        self._options = options
        self.process: subprocess.Popen[bytes]
        self.listen: tuple[str, int]
        self.admin: tuple[str, int]

    def start(self) -> Platform:
        """Start it and wait until it listens. Raises RuntimeError with its log when it ends instead."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", str(self.data))
        with self.log.open("ab") as log:
            # a session of its own, so that a Ctrl-C at the test's terminal is not its
            self.process = subprocess.Popen(
                [*CLOUDBASE, "dev", *ports, *self._options], stdout=log, stderr=log, env=environment(), start_new_session=True
            )
        self._await(self._listens, START, "it does not listen")
        state = json.loads((self.data / "lock").read_text())
        self.listen, self.admin = _address(state["listen"]), _address(state["admin"])
        self._await(lambda: self.api("GET", "/readyz", prefix="")[0] == 200, START, "it is not ready")
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def cli(self, *arguments: str, stdin: bytes = b"", ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `cloudbase` command against it; `ok` raises AssertionError unless it ends with 0."""
        command = [*CLOUDBASE, *arguments, "--data-dir", str(self.data)]
        done = subprocess.run(command, input=stdin.decode(), capture_output=True, text=True, env=environment(), timeout=120)
        assert not ok or done.returncode == 0, (
            f"{' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}{self.said()}"
        )
        return done

    def api(self, method: str, path: str, body: bytes = b"", prefix: str = "/api/v1", **headers: str) -> tuple[int, bytes]:
        """One call of the admin port; the token is sent along. Header names are written with `_`."""
        fields = {"Authorization": f"Bearer {(self.data / 'token').read_text().strip()}"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(http.client.HTTPConnection(*self.admin, timeout=30)) as http1:
            http1.request(method, prefix + path, body or None, fields)
            answer = http1.getresponse()
            return answer.status, answer.read()

    def view(self, name: str) -> dict[str, Any]:
        """The function as the API shows it; {} when there is none."""
        status, body = self.api("GET", f"/functions/{name}")
        view: dict[str, Any] = json.loads(body) if status == 200 else {}
        return view

    def call(self, name: str, path: str = "/", method: str = "GET", body: bytes | None = None) -> http.client.HTTPResponse:
        """One request through the router on a fresh connection, read to its end (`.body`)."""
        with contextlib.closing(http.client.HTTPConnection(*self.listen, timeout=60)) as http1:
            http1.request(method, f"/fn/{name}{path}", body)
            answer = http1.getresponse()
            answer.body = answer.read()  # type: ignore[attr-defined]
            return answer

    def until(self, what: str, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until the condition holds. Raises RuntimeError with the platform's log."""
        self._await(condition, seconds, f"not within {seconds:g} s: {what}")

    def children(self) -> list[int]:
        """The functions' processes: whatever it started that still runs."""
        return processes_of(self.data)

    def said(self) -> str:
        """The end of its log."""
        return "\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])

    def _listens(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return bool(json.loads((self.data / "lock").read_text())["pid"] == self.process.pid)
        return False

    def _await(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise RuntimeError(f"the platform ended with {self.process.returncode}{self.said()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what}{self.said()}")
            time.sleep(LOOK)


@contextlib.contextmanager
def platform(folder: Path, options: Sequence[str] = ()) -> Iterator[Platform]:
    """A running platform, stopped at the end."""
    running = Platform(folder, *options)
    try:
        yield running.start()
    finally:
        running.stop()


def environment() -> dict[str, str]:
    """This process's, without settings of another platform, and with the checkout importable from any folder."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDBASE_")}
    return mine | {"PYTHONPATH": str(ROOT)}


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def processes_of(data: Path) -> list[int]:
    """Processes of functions that the platform of this data folder started, at any time, whoever their parent is now."""
    sign = "=".join(*orphans.marker(data).items()).encode()
    if sys.platform != "linux":
        shown = subprocess.run(["/bin/ps", "-axwwE", "-o", "pid=,command="], capture_output=True, check=True).stdout
        return [int(line.split()[0]) for line in shown.splitlines() if sign in line]
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if sign in _environ(folder).split(b"\0")]


def _environ(folder: Path) -> bytes:
    try:
        return (folder / "environ").read_bytes()
    except OSError:  # gone meanwhile, or not ours to read
        return b""
