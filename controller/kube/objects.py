"""The objects that the controller watches, as much of each as it needs. Specs stay bytes until somebody looks at them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import force_setattr

from controller.kube.names import GROUP, VERSION
from kube.model import DeploymentStatus, ObjectMeta, Pod, Struct
from kube.resource import Resource

EMPTY = msgspec.Raw(b"{}")


class Kept(Struct, frozen=True, gc=False):
    """An object whose spec and status are kept as bytes of their own, so that a whole page of a list does not stay with them."""

    metadata: ObjectMeta = ObjectMeta()
    spec: msgspec.Raw = EMPTY
    status: msgspec.Raw = EMPTY

    def __post_init__(self) -> None:
        force_setattr(self, "spec", self.spec.copy())
        force_setattr(self, "status", self.status.copy())


class Child(Struct, frozen=True, gc=False):
    """A Deployment or Service of ours: what it is like is compared."""

    metadata: ObjectMeta = ObjectMeta()
    spec: msgspec.Raw = EMPTY
    status: DeploymentStatus = DeploymentStatus()  # a Service's has nothing of it

    def __post_init__(self) -> None:
        force_setattr(self, "spec", self.spec.copy())


class _Replicas(msgspec.Struct, frozen=True):
    replicas: int = 1


FUNCTIONS: Resource[Kept] = Resource(GROUP, VERSION, "functions", "Function", Kept)
REVISIONS: Resource[Kept] = Resource(GROUP, VERSION, "revisions", "Revision", Kept)
DEPLOYMENTS: Resource[Child] = Resource("apps", "v1", "deployments", "Deployment", Child)
SERVICES: Resource[Child] = Resource("", "v1", "services", "Service", Child)
PODS: Resource[Pod] = Resource("", "v1", "pods", "Pod", Pod)

_replicas = msgspec.json.Decoder(_Replicas).decode


def replicas(deployment: Child) -> int:
    """How many it should have."""
    return _replicas(deployment.spec).replicas


def whole(child: Child) -> dict[str, Any]:
    """As a manifest, to be compared with one."""
    metadata: dict[str, Any] = msgspec.to_builtins(child.metadata)
    return {"metadata": metadata, "spec": msgspec.json.decode(child.spec)}
