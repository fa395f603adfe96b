"""A node that is lost: an object without a kubelet, to which pods are bound, and an address where connections come to nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.cluster.platform.installed import kubectl
from tests.cluster.shared.router_on_a_cluster import HERE

PORT = 8080  # of functions' pods


async def _kubectl(*arguments: str, text: str | None = None) -> str:
    return await asyncio.to_thread(kubectl, *arguments, text=text)


@asynccontextmanager
async def lost_node() -> AsyncIterator[str]:
    """Its name. The scheduler may use it, until it is noticed that nobody is there; what is bound to it goes with it."""
    name = f"lost-{uuid.uuid4().hex[:6]}"
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}
    await _kubectl("create", "-f", "-", text=json.dumps(node))
    try:
        await _kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": alive()}))
        yield name
    finally:
        await _kubectl("delete", "node", name)
        bound = f"--field-selector=spec.nodeName={name}"
        await _kubectl("delete", "pods", "--all-namespaces", bound, "--force", "--grace-period=0")


async def full(node: str) -> None:
    """No more pods fit on it. The scheduler has not noticed the loss either, and might put a lost pod's replacement there."""
    room = json.dumps({"status": {"allocatable": {"pods": "1"}}})
    await _kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", room)


@asynccontextmanager
async def closed(node: str) -> AsyncIterator[None]:
    """Nothing new is scheduled to a node meanwhile."""
    await _kubectl("cordon", node)
    try:
        yield
    finally:
        await _kubectl("uncordon", node)


@contextmanager
def black_hole() -> Iterator[str]:
    """The address of a host on whose port of functions a connection is neither taken nor refused: the queue is full."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HERE, PORT))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex((HERE, PORT))
            yield HERE
        finally:
            for each in waiting:
                each.close()


def alive() -> dict[str, Any]:
    """The status of a node whose kubelet has just said that it is well, and will never say anything again."""
    ready = _true("Ready") | {"reason": "KubeletReady", "lastHeartbeatTime": _now()}
    room = {"cpu": "1", "memory": "1Gi", "pods": "10"}
    return {"conditions": [ready], "capacity": room, "allocatable": room}


def running(address: str) -> dict[str, Any]:
    """The status of a pod that was ready when its node was heard of last."""
    conditions = [_true(kind) for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]
    return {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}


def _true(kind: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": _now()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
