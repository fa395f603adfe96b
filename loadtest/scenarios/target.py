"""Where the scenarios are run: a platform on this machine, or one that runs already, both through the `cloudbase` command."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.local import CLOUDBASE, environment, platform
from loadtest.scenarios.functions import Sample

PATIENCE = 300.0  # seconds for a deployment, a build in a cluster included
SLEEP = 120.0  # seconds until a function must be asleep


class Failed(Exception):
    """The platform did not do what a scenario needs; the message says what it said."""


@dataclass(frozen=True, slots=True)
class Target:
    """A platform: the router's URL, and the options that make `cloudbase` find its management API."""

    url: str
    options: tuple[str, ...]

    def cloudbase(self, *arguments: str) -> str:
        """Run a command; its stdout. Raises Failed."""
        command = [*CLOUDBASE, *arguments, *self.options]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=PATIENCE + 30)
        if done.returncode:
            raise Failed(f"cloudbase {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def deploy(self, name: str, sample: Sample) -> None:
        """Deploy and wait until it is ready. Raises Failed."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = sample.folder or Path(scratch)
            for path, text in sample.files.items():
                (folder / path).write_text(text)
            self.cloudbase("deploy", str(folder), "--name", name, "--timeout", f"{PATIENCE:g}", *sample.flags)

    def asleep(self, name: str) -> None:
        """Wait until the function has no replica. Raises Failed."""
        deadline = time.monotonic() + SLEEP
        while self.replicas(name):
            if time.monotonic() > deadline:
                raise Failed(f"{name} still has replicas after {SLEEP:g} s of silence")
            time.sleep(0.1)

    def replicas(self, name: str) -> int:
        """Replicas now. Raises Failed when there is no such function."""
        items = json.loads(self.cloudbase("list", "-o", "json"))["items"]
        found = next((each for each in items if each["name"] == name), None)
        if found is None:
            raise Failed(f"there is no function {name}")
        return int(found["replicas"])

    def delete(self, names: Sequence[str]) -> None:
        """Delete functions; one that cannot be is told by what comes next."""
        for name in names:
            with contextlib.suppress(Failed):
                self.cloudbase("delete", name, "--yes")


@contextlib.contextmanager
def here() -> Iterator[Target]:
    """A platform of its own on this machine, ended afterwards."""
    with tempfile.TemporaryDirectory() as folder, platform(Path(folder)) as running:
        host, port = running.listen
        yield Target(f"http://{host}:{port}", ("--data-dir", str(running.data)))
