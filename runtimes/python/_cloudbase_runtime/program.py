"""Programs that listen by themselves: a Python file run as `__main__`, or a shell command."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from _cloudbase_runtime.entry import Entry
from _cloudbase_runtime.load import PACKAGES, explain
from _cloudbase_runtime.process import Failure, ReadyLine, flush, leave, when_orphaned
from _cloudbase_runtime.settings import Settings


def run(entry: Entry, settings: Settings, folder: Path, ready: ReadyLine) -> None:
    """Runs the program to its end, and the process with it. Raises Failure when it cannot be started or never listened."""
    os.environ.setdefault("PORT", str(settings.port))
    probe = f"{settings.host or '127.0.0.1'}:{settings.port}"
    if entry.command:
        _command(entry.command, settings, folder, ready, probe)
    else:
        _main(entry, folder, ready, probe)


def _main(entry: Entry, folder: Path, ready: ReadyLine, probe: str) -> None:
    signal.signal(signal.SIGTERM, _leave_on_signal)  # until the program takes it over: process 1 would ignore it
    listened = _watch_listening()
    ready.write(probe=probe)
    try:
        runpy.run_path(str(entry.file), run_name="__main__")
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            leave(stop.code or 0)
        sys.stderr.write(f"{stop.code}\n")
        leave(1)
    except BaseException as error:
        if listened.is_set():
            raise
        raise explain(error, folder) from error
    if not listened.is_set() and threading.active_count() == 1 + bool(_watcher()):
        where = entry.file.name if entry.file else ""
        raise Failure("NoHandler", f"{where} defines no handler or app, and ended without listening on $PORT")
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _watcher() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "cloudbase-parent"]


def _leave_on_signal(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _watch_listening() -> threading.Event:
    """Set as soon as any socket of this process listens."""
    listened = threading.Event()
    listen = socket.socket.listen

    def noticing(self: socket.socket, *arguments: int) -> None:
        listen(self, *arguments)
        listened.set()

    socket.socket.listen = noticing  # type: ignore[assignment, method-assign]
    return listened


def _command(command: str, settings: Settings, folder: Path, ready: ReadyLine, probe: str) -> None:
    """Starts the command in a group of its own and becomes its shadow: its signals, its exit code."""
    environment = dict(os.environ)
    packages = folder / PACKAGES
    environment["PATH"] = os.pathsep.join([str(packages / "bin"), str(Path(sys.executable).parent), environment.get("PATH", "")])
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(packages)])
    environment["PYTHONUNBUFFERED"] = "1"
    child = subprocess.Popen(["/bin/sh", "-c", command], env=environment, start_new_session=True)
    terminated = threading.Event()

    def terminate(number: int, frame: FrameType | None) -> None:
        _signal(child.pid, signal.SIGTERM)
        terminated.set()

    def kill() -> None:
        _signal(child.pid, signal.SIGKILL)

    when_orphaned.append(kill)
    signal.signal(signal.SIGTERM, terminate)
    ready.write(probe=probe)
    code = child.wait()
    if terminated.is_set():
        _wait_for_group(child.pid, time.monotonic() + max(settings.grace - 1, 0))
    kill()  # what it left behind
    flush()
    os._exit(code if code >= 0 else (0 if code == -signal.SIGTERM else 1))


def _wait_for_group(group: int, deadline: float) -> None:
    """The shell dies of SIGTERM at once; what it had started may take its time."""
    while _signal(group, 0) and time.monotonic() < deadline:
        time.sleep(0.02)


def _signal(group: int, number: int) -> bool:
    """Whether there was anyone to get it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
