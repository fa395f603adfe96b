"""A real sshd for tests, that lets one key in as the user who runs them: with the programs that git calls over ssh."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.shared.free_ports import free_port

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""
SEPARATION = Path("/run/sshd")  # sshd of root wants this folder, which the distribution's service makes

CONFIG = """
ListenAddress {host}:{port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AcceptEnv GIT_PROTOCOL
LogLevel VERBOSE
"""


@dataclass(frozen=True, slots=True)
class SshServer:
    """Where it answers, and the Secret that opens it, in Kubernetes' words."""

    host: str
    port: int
    folder: Path

    def url(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@{self.host}:{self.port}{path}"

    def secret(self) -> dict[str, bytes]:
        key = (self.folder / "host.pub").read_text()
        known = f"[{self.host}]:{self.port} {key}"
        return {"ssh-privatekey": (self.folder / "user").read_bytes(), "known_hosts": known.encode()}


@asynccontextmanager
async def ssh_server(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[SshServer]:
    """Serve from keys and settings below `folder`."""
    for name in ("host", "user"):
        new_key(folder / name)
    if os.getuid() == 0:
        SEPARATION.mkdir(mode=0o755, exist_ok=True)  # noqa: ASYNC240 - in memory
    port = free_port(host)
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(host=host, port=port, folder=folder))
    process = await asyncio.create_subprocess_exec(SSHD, "-D", "-e", "-f", str(config), stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        said = b""
        while b"Server listening" not in said:
            line = await asyncio.wait_for(process.stderr.readline(), 60)
            assert line, f"sshd did not start: {said.decode()}"
            said += line
        reading = asyncio.create_task(process.stderr.read())  # so that it never waits for us
        yield SshServer(host, port, folder)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    await reading


def new_key(path: Path) -> Path:
    """A key pair, PATH and PATH.pub."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path
