"""A real Prometheus beside a cluster: it scrapes what pods' annotations say, and answers queries."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.shared.free_ports import free_port

ANNOTATION = "prometheus.io/"


def configuration(pods: list[dict[str, Any]]) -> dict[str, Any]:
    """Scrape these pods each second. Debian's Prometheus knows no Kubernetes, so their annotations are read for it."""
    targets = []
    for pod in pods:
        told = pod["metadata"].get("annotations", {})
        if told.get(ANNOTATION + "scrape") == "true" and told[ANNOTATION + "path"] == "/metrics":
            address = f"{pod['status']['podIP']}:{told[ANNOTATION + 'port']}"
            targets.append({"targets": [address], "labels": {"pod": pod["metadata"]["name"]}})
    job = {"job_name": "cloudbase", "static_configs": targets}
    return {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": [job]}


@dataclass
class Prometheus:
    """A server and how to ask it."""

    address: str
    http: httpx2.AsyncClient  # one for all: making one takes a third of a second

    async def ready(self) -> bool:
        """Whether it answers queries: at first it listens and says 503."""
        return bool((await self.http.get(f"http://{self.address}/-/ready")).status_code == 200)

    async def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query; Grafana's own variables mean everything, and what a slow machine may need."""
        asked = expression.replace("$__rate_interval", "5m").replace("$function", ".*")
        reply = await self.http.get(f"http://{self.address}/api/v1/query", params={"query": asked})
        assert reply.status_code == 200, f"{expression}: {reply.text}"
        return list(reply.json()["data"]["result"])


@asynccontextmanager
async def prometheus(pods: list[dict[str, Any]], folder: Path) -> AsyncIterator[Prometheus]:
    """Run one until it is left. Skips where there is none."""
    program = shutil.which("prometheus")
    if not program:
        pytest.skip("no prometheus on the PATH (Debian: apt-get install prometheus)")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration(pods)))
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={address}", stdout=log, stderr=log,
        )  # fmt: skip
        try:
            async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
                server = Prometheus(address, http)
                async with asyncio.timeout(300):
                    await _scraping(server, process, folder)
                yield server
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _scraping(server: Prometheus, process: asyncio.subprocess.Process, folder: Path) -> None:
    while True:
        assert process.returncode is None, (folder / "prometheus.log").read_text()[-2000:]
        try:
            if await server.ready() and await server.ask("up == 1"):
                return
        except httpx2.TransportError:
            pass  # it does not listen yet
        await asyncio.sleep(0.2)
