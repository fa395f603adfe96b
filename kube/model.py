"""The bits of Kubernetes objects that we need, decoded straight from the wire; whatever is not named here is skipped.

Every field has a default, because bookmarks carry metadata only. Structs are outside the garbage collector (`gc=False`): they
hold no cycles, and a cache of 60,000 of them would otherwise be walked again and again.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # a whole copy of the object: not worth its memory


class Struct(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What all of these have in common."""


class OwnerReference(Struct, frozen=True, gc=False):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(Struct, frozen=True, gc=False):
    """metav1.ObjectMeta. Times are RFC 3339; "" = not set."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = ""  # null in some lists
    deletion_timestamp: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    finalizers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.annotations:
            self.annotations.pop(LAST_APPLIED, None)


class Object(Protocol):
    """Anything that has metadata: what a cache can hold."""

    @property
    def metadata(self) -> ObjectMeta: ...


class Metadata(Struct, frozen=True, gc=False):
    """An object of any kind of which only the metadata matters."""

    metadata: ObjectMeta = ObjectMeta()


# --- core/v1 ---


class ServicePort(Struct, frozen=True, gc=False):
    name: str = ""
    port: int = 0
    target_port: int | str = 0  # 0 = as port; a name refers to a container's port
    protocol: str = "TCP"


class ServiceSpec(Struct, frozen=True, gc=False):
    type: str = "ClusterIP"  # "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")  # "None" = headless
    cluster_ips: tuple[str, ...] | None = msgspec.field(name="clusterIPs", default=None)  # of both families, the first is that
    external_name: str = ""
    selector: dict[str, str] | None = None
    ports: tuple[ServicePort, ...] | None = None


class Service(Struct, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()


class PodCondition(Struct, frozen=True, gc=False):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class ContainerStateWaiting(Struct, frozen=True, gc=False):
    reason: str = ""
    message: str = ""


class ContainerStateTerminated(Struct, frozen=True, gc=False):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    finished_at: str | None = ""


class ContainerState(Struct, frozen=True, gc=False):
    waiting: ContainerStateWaiting | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Struct, frozen=True, gc=False):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class PodStatus(Struct, frozen=True, gc=False):
    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    conditions: tuple[PodCondition, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(Struct, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    status: PodStatus = PodStatus()


# --- discovery.k8s.io/v1 ---


class EndpointConditions(Struct, frozen=True, gc=False):
    """None is "unknown": for ready and serving read it as true, for terminating as false."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class TargetReference(Struct, frozen=True, gc=False):
    """The pod behind an address, in the slice's namespace. By name only: 50,000 uids are 5 MiB."""

    name: str = ""


class SliceEndpoint(Struct, frozen=True, gc=False):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    target_ref: TargetReference | None = None


class EndpointPort(Struct, frozen=True, gc=False):
    name: str | None = ""
    port: int | None = 0
    protocol: str | None = "TCP"


class EndpointSlice(Struct, frozen=True, gc=False):
    """The Service it belongs to is its label `kubernetes.io/service-name`. No endpoints come as null."""

    metadata: ObjectMeta = ObjectMeta()
    address_type: str = "IPv4"  # "IPv4", "IPv6", "FQDN"
    endpoints: tuple[SliceEndpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


# --- apps/v1, autoscaling/v1 ---


class DeploymentSpec(Struct, frozen=True, gc=False):
    replicas: int = 1


class DeploymentStatus(Struct, frozen=True, gc=False):
    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    conditions: tuple[PodCondition, ...] | None = None


class Deployment(Struct, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ScaleSpec(Struct, frozen=True, gc=False):
    replicas: int = 0


class ScaleStatus(Struct, frozen=True, gc=False):
    replicas: int = 0
    selector: str = ""


class Scale(Struct, frozen=True, gc=False):
    """The /scale subresource of anything that has one."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()


# --- coordination.k8s.io/v1 ---


class LeaseSpec(Struct, frozen=True, gc=False):
    holder_identity: str | None = ""
    lease_duration_seconds: int | None = 0
    acquire_time: str | None = ""
    renew_time: str | None = ""
    lease_transitions: int | None = 0


class Lease(Struct, frozen=True, gc=False):
    metadata: ObjectMeta = ObjectMeta()
    spec: LeaseSpec = LeaseSpec()
