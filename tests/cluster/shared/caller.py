"""A pod that calls: what it gets from a Service's own address."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from kube.errors import Attempt
from kube.resource import PODS
from tests.cluster.shared.router_on_a_cluster import IMAGE, PATIENCE, Place

CALLER = """
import json, os, sys, time, urllib.request
found = {}
for host in filter(None, sys.argv[1:] + [os.environ.get("HELLO_SERVICE_HOST")]):
    began = time.monotonic()
    with urllib.request.urlopen(f"http://{host}/fn/own-path?x=1", timeout=60) as answer:
        found[host] = [answer.status, json.load(answer)["path"], round(time.monotonic() - began, 3)]
print(json.dumps(found))
"""


async def called_from_a_pod(place: Place, *hosts: str) -> dict[str, list[Any]]:
    """What a pod got from each host: status, path that the program saw, seconds."""
    container = {"name": "caller", "image": IMAGE, "command": ["python", "-c", CALLER, *hosts]}
    spec = {"containers": [container], "restartPolicy": "Never"}
    await place.client.create(PODS.decoded_as(dict), {"metadata": {"name": "caller"}, "spec": spec}, place.namespace)
    phase = ""
    async with asyncio.timeout(PATIENCE):
        while phase not in ("Succeeded", "Failed"):
            await asyncio.sleep(0.1)
            phase = (await place.client.get(PODS, "caller", place.namespace)).status.phase
    path = PODS.path(place.namespace, "caller", "log")
    async with place.client.stream(Attempt("get", "pods/log", "caller"), path, {}, PATIENCE) as stream:
        text = b"".join([chunk async for chunk in stream.chunks(PATIENCE)]).decode()
    assert phase == "Succeeded", text
    found: dict[str, list[Any]] = json.loads(text)
    return found
