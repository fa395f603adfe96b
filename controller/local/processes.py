"""Child processes of the platform: each leads a session of its own, tells when it ends, and is ended as a group.

Built on `loop.subprocess_exec` with callbacks rather than on streams: the end of a process is told at once, also while a
grandchild still holds its pipes, which `Process.wait()` of some CPython versions waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

Output = Callable[[str, bytes], None]  # (stream: "stdout" | "stderr", bytes as they came; b"" at the end)

_STREAMS = {1: "stdout", 2: "stderr"}
_LAST_WORDS = 0.5  # seconds for output still in the pipes after the process has ended


class Child(asyncio.SubprocessProtocol):
    """One child process. `exited` is done, with the return code (-N: by signal N), as soon as it has ended."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.SubprocessTransport | None = None
        self._closed = self._loop.create_future()  # ended, and all pipes at their end
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self.pid = 0
        self._paused = False  # its pipes cannot be asked: theirs have no is_reading() before Python 3.11.4

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self.pid = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._output(_STREAMS[fd], data)

    def pipe_connection_lost(self, fd: int, error: Exception | None) -> None:
        if fd in _STREAMS:
            self._output(_STREAMS[fd], b"")

    def process_exited(self) -> None:
        assert self._transport is not None
        code = self._transport.get_returncode()
        self.exited.set_result(-1 if code is None else code)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

    def pause(self) -> None:
        """Stop reading its output: a child that writes on is held by the full pipe."""
        if not self._paused:
            self._paused = True
            for pipe in self._pipes():
                pipe.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            for pipe in self._pipes():
                pipe.resume_reading()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group: the child and what it started."""
        end_group(self.pid, number)

    async def wait(self) -> int:
        """The return code, once it has ended, its group has been killed and its last output has been handed over."""
        code = await asyncio.shield(self.exited)
        self.signal(signal.SIGKILL)  # what it left behind in its group would have no one to answer to
        await self.close()
        return code

    async def close(self) -> None:
        """Kill the group if it still runs, read what is left in the pipes, and let go of them."""
        if not self.exited.done():
            self.signal(signal.SIGKILL)
            await asyncio.shield(self.exited)
        self.resume()
        await asyncio.wait([self._closed], timeout=_LAST_WORDS)
        if self._transport is not None:
            self._transport.close()

    def _pipes(self) -> list[asyncio.ReadTransport]:
        if self._transport is None:
            return []
        pipes = [self._transport.get_pipe_transport(fd) for fd in _STREAMS]
        return [pipe for pipe in pipes if isinstance(pipe, asyncio.ReadTransport) and not pipe.is_closing()]


class Lifeline:
    """A pipe that nobody writes; the child inherits `read_end`, where the end of file is our death. A context manager.

    One for each child: flags of an open pipe, like O_NONBLOCK, belong to all who inherited it.
    """

    def __init__(self) -> None:
        self.read_end, self._our_end = os.pipe()

    def __enter__(self) -> Lifeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hand_over()
        os.close(self._our_end)

    def hand_over(self) -> None:
        """Close our copy of the reading end, once the child has its own."""
        if self.read_end >= 0:
            os.close(self.read_end)
            self.read_end = -1


async def spawn(
    arguments: Sequence[str | Path],
    *,
    output: Output,
    cwd: Path,
    env: Mapping[str, str],
    inherit: Sequence[int] = (),
) -> Child:
    """Start a child in a session of its own, stdin empty, `inherit`ed descriptors kept open.

    No preexec_fn: it would run Python between fork and exec, which is unsafe beside threads and forfeits vfork.
    Raises OSError when the program or the folder is not there.
    """
    loop = asyncio.get_running_loop()
    _, child = await loop.subprocess_exec(
        lambda: Child(output),
        *_tied_to_us(),
        *(str(argument) for argument in arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=dict(env),
        pass_fds=tuple(inherit),
        start_new_session=True,
    )
    return child


def end_group(leader: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal the group that `leader` leads; a group that is gone already is fine, so is one of zombies (macOS: EPERM)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def describe(code: int) -> str:
    """A return code in words: "exited with status 1", "killed by SIGKILL"."""
    if code >= 0:
        return f"exited with status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _tied_to_us() -> list[str]:
    """On Linux util-linux's setpriv asks the kernel to kill the child when we die, kill -9 included, and execs it (0.9 ms)."""
    if sys.platform != "linux":
        return []
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv and _is_util_linux(setpriv) else []


def _is_util_linux(setpriv: str) -> bool:
    """Busybox has a setpriv of its own, without --pdeathsig."""
    return "busybox" not in Path(setpriv).resolve().name
