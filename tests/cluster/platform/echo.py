"""A function of an existing image that is changed and watched while requests come, and what tests of failures wait for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from tests.cluster.platform.installed import PATIENCE, Platform, apply, function, kubectl

# A namespace that goes is looked at again after half of its pods' longest grace.
SHORT = {"timeout": 10, "drainTimeout": 10}


class Echo:
    """A function that says which pod answered and the word that it was given; two replicas unless told otherwise."""

    def __init__(self, namespace: str, image: str, name: str = "echo", replicas: int = 2) -> None:
        self.namespace, self.image, self.name, self.replicas = namespace, image, name, replicas

    async def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return await asyncio.to_thread(kubectl, "-n", self.namespace, *arguments, text=text)

    async def listed(self, what: str) -> list[dict[str, Any]]:
        """Objects of the namespace that do not go."""
        found = json.loads(await self.kubectl("get", *what.split(), "-o", "json"))["items"]
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    async def apply(self, *, replicas: int | None = None, traffic: list[dict[str, Any]] | None = None, **env: str) -> None:
        """Write the function with these variables; again while the controller, which is asked for its opinion, is away."""
        scaling = {"min": self.replicas if replicas is None else replicas}
        more = {"traffic": traffic} if traffic else {}
        text = function(self.name, image=self.image, scaling=scaling, env=env, **SHORT, **more)
        await asyncio.to_thread(apply, self.namespace, text)

    async def ready(self, within: float = PATIENCE) -> None:
        """Wait until what was written last is Ready."""
        await self.kubectl("wait", "--for=condition=Ready", f"function/{self.name}", f"--timeout={within:.0f}s")

    async def rolled_out(self, revision: str) -> None:
        """Wait until all replicas of a revision are there."""
        enough = f"--for=jsonpath={{.status.readyReplicas}}={self.replicas}"
        await self.kubectl("wait", enough, f"deployment/{revision}", "--timeout=300s")

    async def answers(self, platform: Platform) -> None:
        """Wait until a request through the router is answered: it hears of a new route some time after the API server has."""
        url = platform.url(f"/fn/{self.name}")
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:

            async def answered() -> bool:
                try:
                    return (await http.get(url)).status_code == 200
                except httpx2.TransportError:
                    return False

            await until(answered)

    async def document(self) -> dict[str, Any]:
        return dict(json.loads(await self.kubectl("get", "function", self.name, "-o", "json")))

    async def condition(self, kind: str = "Ready") -> dict[str, Any]:
        """The condition; empty while what is asked for now was not looked at."""
        found = await self.document()
        status = found.get("status", {})
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return {}
        return next((each for each in status["conditions"] if each["type"] == kind), {})

    async def uid(self, kind: str, name: str) -> str:
        return await self.kubectl("get", kind, name, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")

    async def gone(self) -> None:
        """Delete the function as one who has time: a namespace that goes with functions in it takes longer."""
        await self.kubectl("delete", "function", self.name, "--timeout=300s")


async def until(condition: Callable[[], Awaitable[bool]], within: float = PATIENCE) -> None:
    """Wait for the cluster."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - it is the cluster's to change
            await asyncio.sleep(0.2)


def names(objects: list[dict[str, Any]]) -> list[str]:
    """Of Kubernetes objects."""
    return [each["metadata"]["name"] for each in objects]


async def echo(platform: Platform, namespace: str, **more: Any) -> Echo:
    """Make the function `echo`, and wait until all of its replicas answer."""
    made = Echo(namespace, await asyncio.to_thread(platform.echo), **more)
    await made.apply()
    await made.ready()
    await made.rolled_out(f"{made.name}-00001")
    await made.answers(platform)
    return made
