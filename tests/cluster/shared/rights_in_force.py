"""Waits until the API server judges by rights that were given a moment ago: it hears of them as everybody does, by a watch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from kube.client import Client
from kube.resource import Resource

PATIENCE: Final = 300.0  # seconds for what merely takes its time: a slow machine is not what is tested
REVIEWS: Resource[dict[str, Any]] = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", dict, namespaced=False
)


async def in_force(client: Client, namespace: str, account: str, *rules: Iterable[dict[str, Any]]) -> None:
    """Wait until a service account may do what the first of each of these lists of RBAC rules allows, in its own namespace."""
    async with asyncio.timeout(PATIENCE):
        for rule in (next(iter(each)) for each in rules):
            while not await _allowed(client, namespace, account, rule):  # noqa: ASYNC110 - it is the API server's to change
                await asyncio.sleep(0.05)


async def _allowed(client: Client, namespace: str, account: str, rule: dict[str, Any]) -> bool:
    asked = {
        "namespace": namespace,
        "group": rule["apiGroups"][0],
        "resource": rule["resources"][0],
        "verb": rule["verbs"][0],
        "name": next(iter(rule.get("resourceNames", [])), ""),
    }
    user = {"user": f"system:serviceaccount:{namespace}:{account}", "groups": ["system:serviceaccounts", "system:authenticated"]}
    review = await client.create(REVIEWS, {"spec": {**user, "resourceAttributes": asked}})
    return bool(review["status"]["allowed"])
