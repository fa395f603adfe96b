"""Kills a process of the platform as a kernel does: with SIGKILL, from outside of its pod.

A container's first process is deaf to SIGKILL from within, and a forced deletion of the pod lets it end in order. So a pod beside
it, which sees the node's processes and has the same user id, sends the signal.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.cluster.platform.installed import BUSYBOX, Platform, kubectl

NAME = "killer"
# Processes by the pod's uid in their cgroup, as systemd writes it with underscores; the pause process is another user's.
KILL = """pids=$(grep -ls "$1" /proc/[0-9]*/cgroup | cut -d/ -f3); kill -9 $pids 2>/dev/null; echo $pids"""


def pod() -> dict[str, Any]:
    security = {"runAsUser": 65532, "runAsGroup": 65532, "capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False}
    container = {"name": NAME, "image": BUSYBOX, "command": ["sleep", "3600"], "securityContext": security}
    spec = {"hostPID": True, "containers": [container], "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME}, "spec": spec}


class Killer:
    """A pod in `namespace`, which pod security must not restrict."""

    def __init__(self, platform: Platform, namespace: str) -> None:
        self.platform, self.namespace = platform, namespace

    async def prepare(self) -> None:
        """Make it; on a cluster of several nodes it has to come to the one of what is killed."""
        await self._kubectl("apply", "-f", "-", text=json.dumps(pod()))
        await self._kubectl("wait", "--for=condition=Ready", f"pod/{NAME}", "--timeout=300s")

    async def kill(self, component: str, with_pod: bool = False) -> None:
        """Kill the one pod of a part: its kubelet starts it again, or another pod follows and waits for the lease."""
        (there,) = await asyncio.to_thread(self.platform.pods, component)
        uid, name = there["metadata"]["uid"], there["metadata"]["name"]
        pids = await self._kubectl("exec", NAME, "--", "sh", "-c", KILL, "sh", uid.replace("-", "."))
        assert pids.split(), f"no process of pod {name} was found"
        if with_pod:
            await asyncio.to_thread(self.platform.kubectl, "delete", "pod", name, "--force", "--grace-period=0")

    async def _kubectl(self, *arguments: str, text: str | None = None) -> str:
        return await asyncio.to_thread(kubectl, "-n", self.namespace, *arguments, text=text)
