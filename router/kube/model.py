"""What the objects of a cluster mean to the router: faults, probes, addresses, and one route's translation. Frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoscaler.model import Policy
from kube.model import ServicePort
from router.model import Route, RouteKey, Settings

Intercept = Literal["", "joining", "true", "leaving"]  # as docs/kubernetes.md has it; "" = calls to its address are not taken
Standing = Literal["", "admitted", "proven", "draining", "shut"]  # as router.kube.translate.View.standing


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a Service's owner should know: an Event's reason (CamelCase) and a sentence naming the field."""

    reason: str
    note: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A readiness probe that the router makes itself, before the kubelet's next one."""

    kind: Literal["http", "tcp", "grpc"]
    port: int = 0  # 0 = the endpoint's own
    path: str = "/"  # of http
    fields: tuple[tuple[str, str], ...] = ()  # of http: header names and values
    tls: bool = False  # of http: certificates are not looked at, as the kubelet does
    service: str = ""  # of grpc
    timeout: float = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Share:
    """One backend of a route and its weight, as the annotation has it."""

    service: str
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Described:
    """What the annotations of a route's Service say; kept to go on with when they become bad."""

    shares: tuple[Share, ...]
    settings: Settings
    policy: Policy | None  # None: not scaled by us
    probe: Probe | None
    intercept: Intercept = ""


@dataclass(frozen=True, slots=True)
class Address:
    """One pod behind a Service."""

    pod: str  # its name, or the address again where the slice names none
    address: str  # as router.model.Endpoint.address
    ready: bool
    draining: bool = False  # terminating, and still serving


@dataclass(frozen=True, slots=True)
class Replicas:
    """The Deployment behind one backend: what is scaled."""

    namespace: str
    deployment: str
    revision: str
    weight: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A pod that is there and not ready yet, and how to ask it."""

    namespace: str
    revision: str
    address: Address
    probe: Probe | None  # None: only the kubelet's word counts


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a route, and what we found or decided about it."""

    revision: str
    address: Address
    standing: Standing


@dataclass(frozen=True, slots=True)
class Translation:
    """A route as the cluster has it now."""

    route: Route
    described: Described
    faults: tuple[Fault, ...] = ()
    replicas: tuple[Replicas, ...] = ()
    pending: tuple[Pending, ...] = ()
    pods: tuple[Pod, ...] = ()  # all that serve or may come to
    door: ServicePort | None = None  # the port of the route's Service that is to lead to the routers

    @property
    def key(self) -> RouteKey:
        return self.route.key

    def ready(self) -> int:
        """Replicas that take requests now."""
        return sum(not endpoint.draining for backend in self.route.backends if backend.weight for endpoint in backend.endpoints)

    def seen(self) -> bool:
        """Some address is there, ready or not."""
        return bool(self.pending) or any(backend.endpoints for backend in self.route.backends)
