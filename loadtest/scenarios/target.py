"""Where the scenarios are run: a platform on this machine, or one that runs already, both through the `cloudbase` command."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.local import CLOUDBASE, ROOT, environment, platform
from loadtest.scenarios.functions import Sample

PATIENCE = 300.0  # seconds for a deployment, a build in a cluster included
SLEEP = 120.0  # seconds until a function must be asleep
AT_ONCE = 4  # commands


class Failed(Exception):
    """The platform did not do what a scenario needs; the message says what it said."""


@dataclass(frozen=True, slots=True)
class Target:
    """A platform: the router's URL, and the options and variables that make `cloudbase` find its management API."""

    url: str
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: {**os.environ, "PYTHONPATH": str(ROOT)})

    def deploy(self, functions: Mapping[str, Sample]) -> None:
        """Deploy some and wait until all are ready. Raises Failed."""
        with tempfile.TemporaryDirectory() as scratch:
            commands = []
            for name, sample in functions.items():
                folder = sample.folder or _written(Path(scratch) / name, sample.files)
                commands.append(("deploy", str(folder), "--name", name, "--timeout", f"{PATIENCE:g}", *sample.flags))
            self._run(commands)

    def asleep(self, name: str) -> None:
        """Wait until the function has no replica. Raises Failed."""
        deadline = time.monotonic() + SLEEP
        while self.replicas(name):
            if time.monotonic() > deadline:
                raise Failed(f"{name} still has replicas after {SLEEP:g} s of silence")
            time.sleep(0.1)

    def replicas(self, name: str) -> int:
        """Replicas now. Raises Failed when there is no such function."""
        (told,) = self._run([("list", "-o", "json")])
        found = next((each for each in json.loads(told)["items"] if each["name"] == name), None)
        if found is None:
            raise Failed(f"there is no function {name}")
        return int(found["replicas"])

    def delete(self, names: Sequence[str]) -> None:
        """Delete functions; one that is not there is as good."""
        self._run([("delete", name, "--yes", "--no-wait") for name in names], any_end=True)

    def _run(self, commands: Sequence[Sequence[str]], any_end: bool = False) -> list[str]:
        """Run commands, some at a time; what each printed. Raises Failed, unless one may end as it likes."""
        said: list[str] = []
        for first in range(0, len(commands), AT_ONCE):
            batch = commands[first : first + AT_ONCE]
            with contextlib.ExitStack() as stack:
                begun = [(words, self._begun(words, stack)) for words in batch]
                for words, process in begun:
                    with contextlib.suppress(*([Failed] if any_end else [])):
                        said.append(_said(words, process))
        return said

    def _begun(self, words: Sequence[str], stack: contextlib.ExitStack) -> subprocess.Popen[str]:
        """A command that runs; it is killed with the stack, where nobody has waited for its end."""
        command = [*CLOUDBASE, *words, *self.options]
        process = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env)
        )
        stack.callback(process.kill)
        return process


def _said(words: Sequence[str], process: subprocess.Popen[str]) -> str:
    """What a command prints. Raises Failed."""
    try:
        out, err = process.communicate(timeout=PATIENCE + 30)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"cloudbase {' '.join(words)}: no end after {error.timeout:g} s") from error
    if process.returncode:
        raise Failed(f"cloudbase {' '.join(words)}: {(err or out).strip()}")
    return out


def _written(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir()
    for path, text in files.items():
        (folder / path).write_text(text)
    return folder


@contextlib.contextmanager
def here() -> Iterator[Target]:
    """A platform of its own on this machine, ended afterwards. Raises Failed."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(platform(Path(folder)))
        except RuntimeError as error:
            raise Failed(f"no platform can be started here: {error}") from error
        host, port = running.listen
        yield Target(f"http://{host}:{port}", ("--data-dir", str(running.data)), environment())
