"""The router's process at its start: settings that cannot be, and API servers that are away, do not know it or forbid."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from kube.fake.server import ApiServer

ROOT = Path(__file__).parents[3]
UTC_NOW = "ignore:.*utcnow.*:DeprecationWarning"  # in the official package, from Python 3.12 on


async def started(*flags: str, program: tuple[str, ...] = ("router", "--kube"), **environ: str) -> asyncio.subprocess.Process:
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("ROUTER_", "KUBE"))}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", *program, *flags, cwd=ROOT, env=bare | environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


def kubeconfig(folder: Path, server: str) -> str:
    content = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "mine"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "default"}}],
    }  # fmt: skip
    path = folder / "kubeconfig"
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--kube-config", "/nowhere/kubeconfig"), "/nowhere/kubeconfig: no such file"),
        ((), "this is no pod; name a kubeconfig"),
        (("--listen", "127.0.0.1:0", "--kube-admin", "192.0.2.1:1"), "choose another address with --listen or --kube-admin"),
    ],
)
def test_what_cannot_be_ends_the_start_with_1_and_says_why(flags: tuple[str, ...], words: str) -> None:
    async def whole() -> None:
        free = ("--listen", "127.0.0.1:0", "--kube-admin", "127.0.0.1:0")
        process = await started(*free, *flags)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 1
        assert words in out.decode() and "Traceback" not in out.decode()

    asyncio.run(whole())


def test_cloudbase_router_is_the_same_and_lists_every_flag() -> None:
    async def whole() -> None:
        process = await started("--help", program=("cloudbase", "router"))
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0
        assert {"--listen", "--kube-service", "--kube-advertise"} <= set(re.findall(r"--[a-z-]+", out.decode()))

    asyncio.run(whole())


def unreachable(server: ApiServer) -> Awaitable[None]:
    return server.stop()


async def unknown(server: ApiServer) -> None:
    server.faults.tokens = {"another"}


async def forbidden(server: ApiServer) -> None:
    server.faults.allows = lambda verb, resource, namespace: resource != "services"


@pytest.mark.filterwarnings(UTC_NOW)
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (unreachable, "check the address of the API server, and that it runs"),
        (unknown, "check the service account's token or the user in the kubeconfig"),
        (forbidden, "allow the verb 'list' on 'services' in a Role or ClusterRole"),
    ],
)
def test_an_api_server_that_does_not_answer_at_start_is_named_and_tried_again(
    tmp_path: Path, trouble: Callable[[ApiServer], Awaitable[None]], words: str
) -> None:
    """In the log, in /readyz; unknown names are answered 503 meanwhile; and it goes on when it may."""

    async def whole() -> None:
        async with asyncio.timeout(100), ApiServer() as server:
            await trouble(server)
            config = kubeconfig(tmp_path, server.url)
            process = await started("--listen", "127.0.0.1:0", "--kube-admin", "127.0.0.1:0", "--kube-config", config)
            assert process.stdout is not None
            lines: list[str] = []

            async def read() -> None:
                async for line in process.stdout:  # type: ignore[union-attr]
                    lines.append(line.decode())

            reading = asyncio.create_task(read())
            try:
                while not any("listening on" in line for line in lines) or not any(words in line for line in lines):
                    assert process.returncode is None, lines
                    await asyncio.sleep(0.02)
                traffic, admin = next(
                    filter(None, (re.match(r"listening on (\S+), admin on (\S+),", each) for each in lines))
                ).groups()
                await answered_while_it_is_so(traffic, admin, words)
                server.faults.tokens = server.faults.allows = None
                if trouble is unreachable:
                    await server.start()
                await ready(admin)
            finally:
                process.send_signal(signal.SIGTERM)
                await asyncio.gather(process.wait(), reading)
            assert process.returncode == 0 and not any("Traceback" in line for line in lines)
            assert platform.python_version() in lines[0], "the start says what runs it"

    asyncio.run(whole())


async def answered_while_it_is_so(traffic: str, admin: str, words: str) -> None:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.get(f"http://{traffic}/fn/hello")
        assert answer.status_code == 503 and "retry-after" in answer.headers
        found: Any = await http.get(f"http://{admin}/readyz")
        assert found.status_code == 503 and any(words in word for word in found.json()["detail"])
        assert (await http.get(f"http://{admin}/healthz")).status_code == 200


async def ready(admin: str) -> None:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        while (await http.get(f"http://{admin}/readyz")).status_code != 200:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
