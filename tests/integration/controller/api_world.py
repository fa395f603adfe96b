"""The management API with a world in memory behind it: through a socket and uvicorn, or without one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

import httpx2
import uvicorn
from starlette.applications import Starlette

from controller.api import Token, create_app
from controller.archive import Limits
from controller.memory import MemoryFunctionStore, MemorySourceStore
from controller.reconcile import Reconciler
from tests.shared.controller_world import WorldBuilder, WorldDeployer, WorldRoutes

TOKEN = "secret-token"
HELLO = {"spec": {"runtime": "node"}, "files": {"handler.js": "module.exports = (req, res) => res.end('hi')"}}
LIMITS = Limits(archive_bytes=100_000, total_bytes=1_000_000)


@dataclass
class Api:
    client: httpx2.AsyncClient
    port: int
    store: MemoryFunctionStore
    sources: MemorySourceStore
    builder: WorldBuilder
    deployer: WorldDeployer

    async def put(self, name: str = "hello", document: object = HELLO, **more: object) -> httpx2.Response:
        return await self.client.put(f"/functions/{name}", json=document, **more)  # type: ignore[arg-type]

    async def put_archive(self, archive: bytes, name: str = "hello", spec: object = HELLO["spec"]) -> httpx2.Response:
        headers = {"Content-Type": "application/gzip", "Cloudbase-Spec": quote(json.dumps(spec))}
        return await self.client.put(f"/functions/{name}", content=archive, headers=headers)

    async def events(
        self, name: str = "hello", query: str = "", headers: dict[str, str] | None = None
    ) -> list[dict[str, object]]:
        headers = {"Accept": "text/event-stream", **(headers or {})}
        answer = await self.client.get(f"/functions/hello/events{query}", headers=headers)
        assert answer.status_code == 200
        return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


@contextlib.asynccontextmanager
async def serving(real: bool) -> AsyncIterator[Api]:
    store, sources = MemoryFunctionStore(), MemorySourceStore(LIMITS)
    builder, deployer = WorldBuilder(), WorldDeployer()
    reconciler = Reconciler(store, builder, deployer, WorldRoutes(), sources)
    decisions = [{"replicas": 1, "reason": "one waits"}]
    app = create_app(store, sources, reconciler, deployer, Token(TOKEN), limits=LIMITS, decisions=lambda project, name: decisions)
    reconciling = asyncio.create_task(reconciler.run())
    async with listening(app) if real else without_socket(app) as (port, transport):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        base = f"http://127.0.0.1:{port}/api/v1"
        async with httpx2.AsyncClient(base_url=base, headers=headers, trust_env=False, transport=transport) as client:
            yield Api(client, port, store, sources, builder, deployer)
    reconciling.cancel()
    await asyncio.wait([reconciling])


@contextlib.asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[tuple[int, None]]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        yield listener.getsockname()[1], None
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def without_socket(app: Starlette) -> AsyncIterator[tuple[int, httpx2.ASGITransport]]:
    yield 8081, httpx2.ASGITransport(app)


def with_api(test: Callable[[Api], Awaitable[None]], real: bool = False) -> None:
    """Run a test against the API; `real`: through a socket, which streams and broken requests need."""

    async def main() -> None:
        async with asyncio.timeout(100), serving(real) as api:
            await test(api)

    asyncio.run(main())


def tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def problem(answer: httpx2.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == status
    assert document["title"]
    return document
