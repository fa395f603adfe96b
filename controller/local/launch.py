"""How a replica's process is started: command, environment and place to listen, by docs/runtime-contract.md."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller import quantity
from controller.local import orphans, toolchain
from controller.model import Function
from runtimes.catalog import RUNTIMES

HOST = "127.0.0.1"
SOCKET_PATH = 103  # bytes: macOS' sun_path has 104 with the final NUL, Linux' 108
HEAP_SHARE = 0.75  # of a replica's memory for V8's old generation; the rest is for buffers, code and stacks

# What a function inherits of the platform's own environment: never its secrets.
_INHERITED = {
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    orphans.MARKER,
}


@dataclass(frozen=True, slots=True)
class Launch:
    """A process to start."""

    arguments: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process may listen: a program that listens by itself takes the port, all others the socket when there is one."""

    port: int
    path: Path | None  # None: every path that we could give is too long for a socket


Launcher = Callable[[Function, str, Path, Mapping[str, str]], Launch]


def launch(function: Function, revision: str, app: Path, env: Mapping[str, str], *, grace: float = 30.0) -> Launch:
    """The process of a replica in the folder `app`. Raises RuntimeUnavailable."""
    spec = function.spec
    flags = []
    if spec.runtime == "node":
        # V8 sizes its heap by the machine, and would be killed for its memory where it could have collected garbage.
        flags = [f"--max-old-space-size={max(int(quantity.memory_bytes(spec.resources.memory) * HEAP_SHARE) >> 20, 16)}"]
    interpreter = toolchain.program(spec.runtime)
    settings = {
        "HOST": HOST,
        "CLOUDBASE_FUNCTION": function.name,
        "CLOUDBASE_REVISION": revision,
        "CLOUDBASE_ENTRY": spec.entry,
        "CLOUDBASE_TIMEOUT": f"{spec.timeout:g}",
        "CLOUDBASE_CONCURRENCY": str(spec.concurrency),
        "CLOUDBASE_GRACE": f"{grace:g}",
    }
    own = {name: value for name, value in spec.env.items() if not name.startswith("CLOUDBASE_")}
    return Launch((*interpreter, *flags, *RUNTIMES[spec.runtime].arguments), {**inherited(env), **own, **settings}, app)


def inherited(env: Mapping[str, str]) -> dict[str, str]:
    """The part of the platform's environment that functions get."""
    return {name: value for name, value in env.items() if name in _INHERITED or name.startswith("LC_")}


def place(run: Path, function: str, replica: str) -> Place:
    """A socket path and a free port for one start of a replica. The folder of the path is there, the socket is not."""
    return Place(_free_port(), _socket_path(run, function, replica))


def _socket_path(run: Path, function: str, replica: str) -> Path | None:
    for path in (run / function / f"{replica}.sock", run / f"{replica}.sock"):
        if len(os.fsencode(path)) <= SOCKET_PATH:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            return path
    return None


def _free_port() -> int:
    """A port nobody listens on now. Somebody may take it before the replica does; that start fails, and the next has another."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
