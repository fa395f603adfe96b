"""The API server's audit log: what an account asked for, and what of it RBAC refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

Right = tuple[str, str, str]  # API group, resource with subresource, verb


def entries(user: str) -> Iterator[dict[str, Any]]:
    """What a user asked for of objects, also in parts of the log that were put aside. Skips where there is none."""
    log = os.environ.get("CLUSTER_AUDIT_LOG", "")
    if not log:
        pytest.skip("CLUSTER_AUDIT_LOG names no audit log: this cluster does not say who asked for what")
    path = Path(log)
    for part in (*sorted(path.parent.glob(f"{path.stem}-*{path.suffix}")), path):
        with part.open() as lines:
            for line in lines:
                if user not in line or not line.endswith("\n"):  # the last one may be being written
                    continue
                entry = json.loads(line)
                if entry["user"]["username"] == user and "objectRef" in entry:
                    yield entry


def right(entry: dict[str, Any]) -> Right:
    """What somebody needs who asks for this."""
    what = entry["objectRef"]
    resource = what["resource"] + (f"/{what['subresource']}" if "subresource" in what else "")
    return what.get("apiGroup", ""), resource, entry["verb"]


def forbidden(entry: dict[str, Any]) -> bool:
    """RBAC said no. A 403 may as well be an admission plugin's, as in a namespace that goes."""
    return bool(entry.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid")


def moment(text: str) -> datetime:
    """A time as Kubernetes writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
