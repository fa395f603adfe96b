"""What the API server was asked, as its audit log has it: also where the log was begun anew meanwhile, as it is after 100 MB."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

Right = tuple[str, str, str]  # API group, resource with subresource, verb


def audit_log() -> str:
    """Where it is. Skips where there is none."""
    if log := os.environ.get("CLUSTER_AUDIT_LOG", ""):
        return log
    pytest.skip("CLUSTER_AUDIT_LOG names no audit log: this cluster does not say who asked for what")


def now() -> str:
    """This moment as the log writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """A time as Kubernetes writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def entries(log: str, words: str, since: str = "") -> Iterator[dict[str, Any]]:
    """What was answered since then, of the lines with these words; the oldest first."""
    path = Path(log)
    for file in (*sorted(path.parent.glob(f"{path.stem}-*{path.suffix}")), path):
        with file.open() as lines:
            for line in lines:
                if words in line and line.endswith("\n") and (entry := json.loads(line))["stageTimestamp"] >= since:
                    yield entry


def asked_by(user: str, log: str) -> Iterator[dict[str, Any]]:
    """What a user asked for of objects."""
    for entry in entries(log, user):
        if entry["user"]["username"] == user and "objectRef" in entry:
            yield entry


def right(entry: dict[str, Any]) -> Right:
    """What somebody needs who asks for this."""
    what = entry["objectRef"]
    resource = what["resource"] + (f"/{what['subresource']}" if "subresource" in what else "")
    return what.get("apiGroup", ""), resource, entry["verb"]


def rights(rules: Iterable[dict[str, Any]]) -> set[Right]:
    """All that RBAC rules allow."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def forbidden(entry: dict[str, Any]) -> bool:
    """RBAC said no. A 403 may as well be an admission plugin's, as in a namespace that goes."""
    return bool(entry.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid")
