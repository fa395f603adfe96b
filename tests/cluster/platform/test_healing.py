"""What somebody deletes comes back, and a steady load sees no error."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "router"))
sys.path.insert(0, str(Path(__file__).parent))

from installed import Failed, Platform, kubectl
from router_on_a_cluster import MARKS, Place, in_a_namespace, stamp
from steady_load import steady
from test_functions import function

pytestmark = MARKS

PROTECTED = "cloudbase.dev/unprotected=true"


class Echo:
    """A function of an existing image that always has two replicas."""

    def __init__(self, namespace: str, image: str) -> None:
        self.namespace, self.image = namespace, image

    async def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return await asyncio.to_thread(kubectl, "-n", self.namespace, *arguments, text=text)

    async def apply(self, **env: str) -> None:
        """Write the function with these variables."""
        spec = function("echo", image=self.image, scaling={"min": 2}, env=env)
        await self.kubectl("apply", "-f", "-", text=spec)

    async def ready(self) -> None:
        await self.kubectl("wait", "--for=condition=Ready", "function/echo", "--timeout=60s")

    async def rolled_out(self, revision: str) -> None:
        """Wait until both replicas of a revision are there."""
        await self.kubectl("wait", "--for=jsonpath={.status.readyReplicas}=2", f"deployment/{revision}", "--timeout=60s")

    async def uid(self, kind: str, name: str) -> str:
        return await self.kubectl("get", kind, name, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")

    async def deleted(self, kind: str, name: str) -> float:
        """Delete an owned object as one who means it; seconds until there is another."""
        with pytest.raises(Failed, match="unprotected=true"):  # not by accident
            await self.kubectl("delete", kind, name)
        before = await self.uid(kind, name)
        await self.kubectl("annotate", kind, name, PROTECTED)
        began = stamp()
        await self.kubectl("delete", kind, name, "--wait=false")
        await until(lambda: self._another(kind, name, before))
        return stamp() - began

    async def _another(self, kind: str, name: str, before: str) -> bool:
        return await self.uid(kind, name) not in ("", before)


async def until(condition: Callable[[], Awaitable[bool]], within: float = 60) -> None:
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - it is the cluster's to change
            await asyncio.sleep(0.2)


def names(pods: list[dict[str, Any]]) -> list[str]:
    return [pod["metadata"]["name"] for pod in pods]


async def replaced(platform: Platform, component: str, *how: str) -> float:
    """Delete the pods of a part; seconds until others are ready in their place."""
    before = await asyncio.to_thread(platform.pods, component)
    began = stamp()
    await asyncio.to_thread(platform.kubectl, "delete", "pod", *names(before), "--wait=false", *how)
    await asyncio.to_thread(platform.kubectl, "rollout", "status", f"deployment/{platform.release}-{component}", "--timeout=60s")
    taken = stamp() - began
    for name in names(before):
        await asyncio.to_thread(platform.kubectl, "wait", "--for=delete", f"pod/{name}", "--timeout=60s")
    return taken


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_deleted_heals_and_a_steady_load_sees_no_error(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        echo = Echo(place.namespace, await asyncio.to_thread(platform.echo))
        await echo.apply()
        await echo.ready()
        await echo.rolled_out("echo-00001")
        async with steady(platform.url("/fn/echo")) as load:
            print(f"route's Service: {await echo.deleted('service', 'echo'):.1f} s")
            print(f"backend's Service: {await echo.deleted('service', 'echo-00001'):.1f} s")
            pods = json.loads(await echo.kubectl("get", "pods", "-o", "json"))["items"]
            await echo.kubectl("delete", "pod", names(pods)[0], "--wait=false")
            await echo.rolled_out("echo-00001")
            print(f"Deployment: {await echo.deleted('deployment', 'echo-00001'):.1f} s")
            await echo.rolled_out("echo-00001")
            print(f"controller, killed: {await replaced(platform, 'controller', '--force', '--grace-period=0'):.1f} s")
            print(f"router, told to end: {await replaced(platform, 'router'):.1f} s")
            await echo.ready()
        print(f"{dict(load.codes)}, {len(load.pods)} pods answered; {load.wrong[:3]}")
        assert set(load.codes) == {200}

    in_a_namespace(scenario, 290)
