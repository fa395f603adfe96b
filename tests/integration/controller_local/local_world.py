"""A data folder with sources in it, and the builder and deployer of this machine on it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.local.builder import LocalBuilder
from controller.local.deployer import LocalDeployer
from controller.model import Function, FunctionSpec
from controller.ports import BuildResult, Replica

ENV = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDBASE", "PIP_", "npm_"))}
ENV |= {"npm_config_registry": "http://127.0.0.1:9", "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_CONFIG_FILE": os.devnull}


def store_source(data: Path, files: dict[str, str]) -> str:
    """Put a source into `data` as the store of sources does; returns its digest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in sorted(files.items()):
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    (data / "sources").mkdir(parents=True, exist_ok=True)
    (data / "sources" / f"{digest}.tar.gz").write_bytes(buffer.getvalue())
    return f"sha256:{digest}"


def make_function(data: Path, files: dict[str, str], *, name: str = "hello", runtime: str = "python", **spec: Any) -> Function:
    return Function(name=name, spec=FunctionSpec(runtime=runtime, source=store_source(data, files), **spec))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "d"


@pytest.fixture
def build(data: Path) -> Callable[..., Any]:
    """Build a function; the lines of progress are thrown away."""

    async def build(function: Function, **options: Any) -> BuildResult:
        return await LocalBuilder(data, env=ENV, **options).build(function, lambda line: None)

    return build


@asynccontextmanager
async def deployed(data: Path, **options: Any) -> AsyncIterator[LocalDeployer]:
    """A deployer that is started and closed."""
    deployer = LocalDeployer(data, env=ENV, **{"grace": 5.0, "start_timeout": 20.0, **options})
    await deployer.start()
    try:
        yield deployer
    finally:
        await deployer.close()


async def until(
    deployer: LocalDeployer, holds: Callable[[list[Replica]], bool], name: str = "hello", seconds: float = 60.0
) -> list[Replica]:
    """The replicas of a function at the first moment when they are as wanted; no change between is missed."""
    found: asyncio.Future[list[Replica]] = asyncio.get_running_loop().create_future()

    def look(*_: str) -> None:
        replicas = deployer.observe("default", name)
        if not found.done() and holds(replicas):
            found.set_result(replicas)

    deployer.watch(look)
    look()
    try:
        return await asyncio.wait_for(found, seconds)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {deployer.observe('default', name)}") from None


async def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something holds that tells nobody."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.01)


def ready(count: int) -> Callable[[list[Replica]], bool]:
    return lambda replicas: sum(replica.ready for replica in replicas) == count == len(replicas)


async def get(address: str, path: str = "/") -> str:
    """The body of an answer from an endpoint."""
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    try:
        answer = await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        await writer.wait_closed()
    return answer.partition(b"\r\n\r\n")[2].decode()


async def texts_of(deployer: LocalDeployer, tail: int = 100) -> list[str]:
    """The last lines of the log of `hello`."""
    return [line.line async for line in deployer.logs("default", "hello", tail, False)]
