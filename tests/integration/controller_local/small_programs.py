"""Small Python programs that speak the runtime contract's ready line, in place of functions of the local deployer."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from controller.local.deployer import LocalDeployer
from controller.local.launch import Launch, inherited
from controller.model import Function, FunctionSpec

# Serves its pid on its socket; `{}` is run first. Ends at SIGTERM, or with its starter.
SERVER = """
import json, os, signal, socket, sys, threading, time
def tell(**line):
    os.write(int(os.environ["CLOUDBASE_READY_FD"]), (json.dumps(line) + chr(10)).encode())
    os.close(int(os.environ["CLOUDBASE_READY_FD"]))
{}
path = os.environ["CLOUDBASE_SOCKET"]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
tell(listening="unix:" + path)
while True:
    peer, _ = server.accept()
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n%d" % os.getpid())
    peer.close()
"""
HELLO = Function(name="hello", spec=FunctionSpec(runtime="python"))


def program(script: str = "", whole: str = "") -> dict[str, object]:
    """Options of a deployer that runs the server above, or another whole program, in place of a runtime."""

    def launcher(function: Function, revision: str, app: Path, env: Mapping[str, str]) -> Launch:
        own = {**inherited(env), **function.spec.env, "CLOUDBASE_REVISION": revision}
        return Launch((sys.executable, "-S", "-c", whole or SERVER.replace("{}", script)), own, Path("/"))

    return {"launcher": launcher}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes() if Path("/proc").exists() else True


async def scale(deployer: LocalDeployer, replicas: int, leaving: tuple[str, ...] = ()) -> None:
    await deployer.ensure(HELLO, "hello-00001", "", replicas, leaving)
