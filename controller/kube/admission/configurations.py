"""The API server's side of the webhooks: what is asked about, and the patch that says whom to trust. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from kube.resource import Resource

GROUP = "admissionregistration.k8s.io"
VALIDATING: Resource[dict[str, Any]] = Resource(
    GROUP, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", dict, namespaced=False
)
MUTATING: Resource[dict[str, Any]] = Resource(
    GROUP, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", dict, namespaced=False
)
VALIDATE, DEFAULT = "/validate", "/default"  # paths of the webhooks


def trusting(configuration: Mapping[str, Any], bundle: str) -> dict[str, Any] | None:
    """The merge patch that makes all webhooks of a configuration trust `bundle` (PEM); None when they do already.

    A merge patch replaces a list as a whole, so it carries the version it was made from.
    """
    wanted = base64.b64encode(bundle.encode()).decode()
    webhooks: list[dict[str, Any]] = list(configuration.get("webhooks") or [])
    if not webhooks or all(each["clientConfig"].get("caBundle") == wanted for each in webhooks):
        return None
    trusted = [{**each, "clientConfig": {**each["clientConfig"], "caBundle": wanted}} for each in webhooks]
    return {"metadata": {"resourceVersion": configuration["metadata"]["resourceVersion"]}, "webhooks": trusted}


def names_of(service: str, namespace: str) -> tuple[str, ...]:
    """The names that the API server calls a Service by."""
    return f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local", f"{service}.{namespace}"
