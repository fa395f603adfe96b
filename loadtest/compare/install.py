"""Installs what the comparison needs: Debian's wrk, nginx and HAProxy, the peers from wheels, our own C and Go programs."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from loadtest.compare.peers import PEERS, versions
from loadtest.compare.place import BIN, HOME, KIT, VENV, Fault

STAMP = HOME / "installed"  # holds the digest of what was installed
PROGRAMS = ["wrk", "nginx", "haproxy"]


def install() -> None:
    """Install what is missing, compile our own programs. Safe to repeat. Raises Fault."""
    BIN.mkdir(parents=True, exist_ok=True)
    _install_packages()
    if not (VENV / "bin/pip").exists():
        _sh(sys.executable, "-m", "venv", VENV)
    _sh(VENV / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", KIT / "configs/requirements.txt")
    for name in ("backend", "relay"):
        _sh("gcc", "-O2", "-Wall", "-Wextra", "-o", BIN / name, KIT / f"src/{name}.c")
    go = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOPATH": str(HOME / "go"), "GOCACHE": str(HOME / "go/cache")}
    _sh(VENV / "bin/go", "build", "-trimpath", "-buildvcs=false", "-o", BIN / "goproxy", ".", cwd=KIT / "src/goproxy", env=go)
    STAMP.write_text(_digest())
    print("installed:", ", ".join(f"{name} {version}" for name, version in versions(list(PEERS)).items()), file=sys.stderr)


def installed() -> bool:
    """Is everything there, and of this version of the sources?"""
    return not missing() and STAMP.exists() and STAMP.read_text() == _digest()


def missing() -> list[str]:
    """The programs that a run needs and that are not there."""
    needed: list[str | Path] = [BIN / "backend", BIN / "relay", BIN / "goproxy", VENV / "bin/envoy", *PROGRAMS]
    return [str(name) for name in needed if not shutil.which(name)]


def _digest() -> str:
    """Of the pinned wheels and the sources."""
    files = [KIT / "configs/requirements.txt", *sorted(path for path in (KIT / "src").rglob("*") if path.is_file())]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _install_packages() -> None:
    """Install the Debian packages whose programs are missing; start none of their daemons, now or at boot."""
    here = {name: bool(shutil.which(name)) for name in [*PROGRAMS, "gcc"]}
    here["libc6-dev"] = Path("/usr/include/stdio.h").exists()
    here["python3-venv"] = importlib.util.find_spec("ensurepip") is not None
    missing = [name for name, present in here.items() if not present]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Fault(f"install these first (as root on Debian we do it ourselves): apt-get install {' '.join(missing)}")
    _sh("apt-get", "update", "-qq")
    with _daemons_off():
        _sh("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env={"DEBIAN_FRONTEND": "noninteractive"})
    if Path("/run/systemd/system").exists():
        for name in {"nginx", "haproxy"} & set(missing):
            _sh("systemctl", "disable", "--quiet", name)


@contextlib.contextmanager
def _daemons_off() -> Iterator[None]:
    """Make Debian start no daemon that is installed meanwhile (unless the machine has a policy of its own)."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def _sh(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command, shown on stderr; a failure is a Fault."""
    words = [str(word) for word in command]
    print("+", *words, file=sys.stderr)
    if subprocess.run(words, cwd=cwd, env={**os.environ, **(env or {})}, stdout=sys.stderr).returncode:
        raise Fault(f"this failed: {' '.join(words)}")
