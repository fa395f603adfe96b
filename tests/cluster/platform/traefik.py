"""A real Traefik (out of its wheel) beside a cluster: it reads Ingresses with the kubeconfig that tests have."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.cluster.platform.ha import INGRESS_CLASS, RETRY
from tests.cluster.platform.installed import PATIENCE, kubectl
from tests.shared.free_ports import free_port

CLASS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": INGRESS_CLASS},
    "spec": {"controller": "traefik.io/ingress-controller"},
}
# As docs/install.md tells: what does not reach a router goes to another one, or by chance to the same again, hence the number.
MIDDLEWARES = {"http": {"middlewares": {RETRY: {"retry": {"attempts": 16, "initialInterval": "10ms"}}}}}


def configuration(address: str, middlewares: Path) -> dict[str, Any]:
    """Nothing but the cluster's Ingresses of our class, and the retry."""
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "INFO"},
        "entryPoints": {"web": {"address": address}},
        "providers": {
            "kubernetesIngress": {"ingressClass": INGRESS_CLASS},
            "file": {"filename": str(middlewares), "watch": False},
        },
    }


@asynccontextmanager
async def traefik(folder: Path, ready: str) -> AsyncIterator[str]:
    """HOST:PORT of one that answers `ready`, a path, with 200."""
    program = shutil.which("traefik") or shutil.which("traefik", path=str(Path(sys.executable).parent))
    if not program:
        pytest.skip("no traefik on the PATH or in the virtual environment (its wheel is for Linux on x86-64)")
    address = f"127.0.0.1:{free_port()}"
    (folder / "middlewares.yml").write_text(yaml.safe_dump(MIDDLEWARES))
    (folder / "traefik.yml").write_text(yaml.safe_dump(configuration(address, folder / "middlewares.yml")))
    await asyncio.to_thread(kubectl, "apply", "-f", "-", text=json.dumps(CLASS))
    with (folder / "traefik.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program, f"--configFile={folder / 'traefik.yml'}", stdout=log, stderr=log, cwd=folder
        )
    try:
        await _answers(f"http://{address}{ready}", process)
        yield address
    except BaseException:
        print((folder / "traefik.log").read_text()[-4000:])
        raise
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await asyncio.to_thread(kubectl, "delete", "ingressclass", INGRESS_CLASS, "--ignore-not-found")


async def _answers(url: str, process: asyncio.subprocess.Process, within: float = PATIENCE) -> None:
    async with asyncio.timeout(within), httpx2.AsyncClient(trust_env=False, timeout=within) as http:
        while process.returncode is None:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx2.TransportError:
                pass  # it does not listen yet
            await asyncio.sleep(0.1)
    raise AssertionError("traefik has ended")
