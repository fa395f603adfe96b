"""The process itself: how it ends, how it says that it is ready, and how it notices that its starter is gone."""

from __future__ import annotations

import atexit
import json
import os
import select
import sys
import threading
import traceback
from collections.abc import Callable
from typing import NoReturn

EXIT_CODES = {
    "EntryMissing": 80,
    "SyntaxError": 81,
    "MissingDependency": 82,
    "LoadFailed": 83,
    "NoHandler": 84,
    "ListenFailed": 85,
    "BadSetting": 86,
}


when_orphaned: list[Callable[[], None]] = []  # done before the process ends because its starter is gone


class Failure(Exception):
    """Why a function cannot be run: a reason of the contract and a sentence; what was thrown is its `__cause__`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ReadyLine:
    """The one line that tells how the start went. Writing it again does nothing."""

    def __init__(self, fd: int = -1) -> None:
        self._fd = fd
        if fd >= 0:
            os.set_inheritable(fd, False)

    def write(self, **fields: str) -> None:
        """Write the line and close the pipe."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            os.write(fd, json.dumps(fields).encode() + b"\n")
            os.close(fd)
        except OSError:
            pass  # nobody reads any more: there is no one left to tell


def fail(failure: Failure, ready: ReadyLine) -> NoReturn:
    """Say why, the reason in the last line, and exit with the reason's code."""
    cause = failure.__cause__
    if cause is not None:
        sys.stderr.write("".join(traceback.format_exception(type(cause), cause, cause.__traceback__)))
    message = " ".join(str(failure).split())
    flush()
    os.write(2, f"cloudbase: {failure.reason}: {message}\n".encode())
    ready.write(failed=failure.reason, message=message)
    os._exit(EXIT_CODES[failure.reason])


def leave(code: int) -> NoReturn:
    """End at once, whatever threads the function has left running; what it registered with atexit is done."""
    atexit._run_exitfuncs()
    flush()
    os._exit(code)


def flush() -> None:
    """Let out what is buffered."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # closed by the function, or nobody reads


def watch_parent(fd: int) -> None:
    """End the process when the writing end of the pipe is closed, which the kernel does when the starter dies."""
    if fd < 0:
        return
    os.set_inheritable(fd, False)
    threading.Thread(target=_until_closed, args=(fd,), name="cloudbase-parent", daemon=True).start()


def _until_closed(fd: int) -> None:
    # Siblings share the pipe, and a Node among them makes it non-blocking for all: so poll waits, and a read may find nothing.
    ready = select.poll()
    ready.register(fd, select.POLLIN)
    try:
        while ready.poll() and _read(fd) != b"":
            pass
    except OSError:
        pass  # as good as closed
    try:
        for work in when_orphaned:
            work()
    finally:
        os._exit(0)


def _read(fd: int) -> bytes | None:
    try:
        return os.read(fd, 1024)
    except BlockingIOError:
        return None
