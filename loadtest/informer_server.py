"""The API server's side of the informer benchmark: Services and EndpointSlices as a real server sends them, changed on command.

Commands on standard input, one line of answer to each: `expire` (every version is too old), `churn RATE SECONDS` (change
slices, each stamped with the moment; answers how many).
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from kube.fake.server import ApiServer
from kube.fake.store import Manifest

ENDPOINTS_PER_SLICE = 5
STAMP = "endpoints.kubernetes.io/last-change-trigger-time"  # an annotation that real slices have; here monotonic seconds


async def serve(services: int) -> None:
    """Until standard input ends."""
    async with ApiServer(bookmark_interval=30) as server:
        for number in range(services):
            server.store.put(("", "services"), service(number))
            server.store.put(("discovery.k8s.io", "endpointslices"), slice_of(number))
        server.store.compact()
        print(server.url, flush=True)
        while line := (await asyncio.to_thread(sys.stdin.readline)).split():
            print(await obey(server, line), flush=True)


async def obey(server: ApiServer, line: list[str]) -> int:
    if line[0] == "expire":
        server.store.touch()
        server.store.compact()
        server.reset_connections()
        return 0
    return await churn(server, float(line[1]), float(line[2]))


async def churn(server: ApiServer, rate: float, seconds: float) -> int:
    collection = ("discovery.k8s.io", "endpointslices")
    slices = server.store.all(collection)
    began, number = time.monotonic(), 0
    while number < rate * seconds:
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        old = slices[number * 7919 % len(slices)]
        # Each time another of its pods is not ready, so that the table differs, too.
        pods = [
            {**each, "conditions": {"ready": place != number % ENDPOINTS_PER_SLICE}}
            for place, each in enumerate(old["endpoints"])
        ]
        stamp = {STAMP: f"{time.monotonic():.6f}"}
        server.store.put(collection, {**old, "metadata": {**old["metadata"], "annotations": stamp}, "endpoints": pods})
        number += 1
    return number


def service(number: int) -> Manifest:
    name = f"function-{number:05}"
    labels = {"app": name, "app.kubernetes.io/managed-by": "cloudbase", "cloudbase.dev/route": name}
    spec: dict[str, Any] = {
        "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
        "selector": {"app": name},
        "clusterIP": "10.96.1.1",
        "clusterIPs": ["10.96.1.1"],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    }
    annotations = {"cloudbase.dev/scale-target": "70", "cloudbase.dev/scale-max": "10", "cloudbase.dev/deployment": name}
    return manifest("v1", "Service", name, {"labels": labels, "annotations": annotations}) | {
        "spec": spec,
        "status": {"loadBalancer": {}},
    }


def slice_of(number: int) -> Manifest:
    name = f"function-{number:05}"
    labels = {"app": name, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    labels |= {"kubernetes.io/service-name": name, "cloudbase.dev/route": name}
    owner: Manifest = {"apiVersion": "v1", "kind": "Service", "name": name, "uid": f"0d5c0a3c-77aa-4f4c-9f5f-{number:012}"}
    owner |= {"controller": True, "blockOwnerDeletion": True}
    metadata = {"generateName": f"{name}-", "labels": labels, "annotations": {STAMP: "0"}, "ownerReferences": [owner]}
    endpoints = [endpoint(number, replica) for replica in range(ENDPOINTS_PER_SLICE)]
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
    body = {"addressType": "IPv4", "endpoints": endpoints, "ports": ports}
    return manifest("discovery.k8s.io/v1", "EndpointSlice", f"{name}-x7k2p", metadata) | body


def endpoint(number: int, replica: int) -> Manifest:
    address = number * ENDPOINTS_PER_SLICE + replica
    pod = {"kind": "Pod", "namespace": "default", "name": f"function-{number:05}-6b7f9c5d4-{replica:05}"}
    return {
        "addresses": [f"10.{244 + address // 65536}.{address // 256 % 256}.{address % 256}"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{replica:03}",
        "targetRef": {**pod, "uid": f"77aa0a3c-77aa-4f4c-9f5f-{address:012}"},
        "zone": "zone-a",
    }


def manifest(api_version: str, kind: str, name: str, metadata: Manifest) -> Manifest:
    owned = {"f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:annotations": {}}, "f:spec": {"f:ports": {}, "f:selector": {}}}
    managed: Manifest = {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
    }
    managed |= {"time": "2026-01-01T00:00:00Z", "fieldsV1": owned}
    metadata = {"name": name, "namespace": "default", **metadata, "managedFields": [managed, managed]}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
