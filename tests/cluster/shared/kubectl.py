"""kubectl as a person has it: what it prints, or why it was refused; and namespaces that go at the end."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.shared import helm as chart
from tests.shared.kube_world import OURS

CHART = chart
IMAGE = "registry.k8s.io/pause:3.10"
PATIENCE = 300.0  # seconds for what merely takes its time: a slow machine is not what is tested
PATIENTLY = (f"--timeout={PATIENCE:.0f}s",)


class Refused(Exception):
    """What kubectl said instead."""


def kubectl(*arguments: str, document: object = None, within: float = PATIENCE + 20) -> str:
    """kubectl's output; `document` is its stdin as JSON. Raises Refused."""
    text = None if document is None else json.dumps(document)
    done = subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, timeout=within, check=False)
    if done.returncode:
        raise Refused(done.stderr.strip())
    return done.stdout


def read(*arguments: str) -> dict[str, Any]:
    """An object. Raises Refused."""
    found: dict[str, Any] = json.loads(kubectl("get", *arguments, "-o", "json"))
    return found


@contextmanager
def namespace(prefix: str = "admission", **labels: str) -> Iterator[str]:
    """A namespace of the test's own. It is not waited for at the end."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    metadata = {"name": name, "labels": labels | OURS}
    kubectl("create", "-f", "-", document={"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@contextmanager
def applied(documents: list[dict[str, Any]]) -> Iterator[None]:
    """Objects that are there until the end."""
    everything = {"apiVersion": "v1", "kind": "List", "items": documents}
    try:
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", document=everything)
        yield
    finally:
        kubectl("delete", "--ignore-not-found", "--wait=true", "-f", "-", document=everything)


def deployment(name: str, labels: dict[str, str], replicas: int = 1) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "pause", "image": IMAGE}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec}


def service(name: str, labels: dict[str, str]) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": spec}
