"""Kinds of objects as the API server addresses them, each with the struct that it is decoded into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from kube.model import Deployment, EndpointSlice, Lease, Metadata, Pod, Service

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """One kind: `Resource("apps", "v1", "deployments", "Deployment", Deployment)`. The core group is ""."""

    group: str
    version: str
    plural: str
    kind: str
    struct: type[T]
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def title(self) -> str:
        """As RBAC and kubectl write it: "services", "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def decoded_as(self, struct: type[U]) -> Resource[U]:
        """The same kind, decoded into another struct (or `dict`)."""
        return Resource(self.group, self.version, self.plural, self.kind, struct, self.namespaced)

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of an object, of a collection (no name), or of the collection over all namespaces (no namespace either).

        Raises ValueError where an object of a namespaced kind is addressed without its namespace.
        """
        if name and self.namespaced and not namespace:
            raise ValueError(f"{self.title} {name}: a namespace is needed")
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [self.plural, *(quote(part, safe="") for part in (name, subresource) if part)]
        return "/".join(parts)


SERVICES = Resource("", "v1", "services", "Service", Service)
PODS = Resource("", "v1", "pods", "Pod", Pod)
CONFIG_MAPS: Resource[dict[str, Any]] = Resource("", "v1", "configmaps", "ConfigMap", dict)
SECRETS: Resource[dict[str, Any]] = Resource("", "v1", "secrets", "Secret", dict)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", Metadata, namespaced=False)
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", EndpointSlice)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", Deployment)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", Lease)
EVENTS: Resource[dict[str, Any]] = Resource("events.k8s.io", "v1", "events", "Event", dict)
