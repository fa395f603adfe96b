"""A Service whose own address leads to the routers: the names that callers use, what it must be like, and its EndpointSlices.

Callers keep calling http://hello.shop; kube-proxy sends them to a router, which knows by the Host field whom they mean. No clock
and no socket in here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kube.model import EndpointSlice, Service, ServicePort, SliceEndpoint
from router.kube.model import Fault, Intercept
from router.kube.names import BACKENDS, INTERCEPT, MANAGED_BY, SERVICE_NAME, SLICER
from router.kube.slices import FAMILIES, NoPort, port_of

MOST: Final = 100  # addresses in one slice, as Kubernetes' own controller has it


@dataclass(frozen=True, slots=True)
class Door:
    """Where one router takes calls, as an EndpointSlice says it."""

    family: str  # "IPv4" or "IPv6"
    ip: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False


def hosts_of(service: Service, domain: str, bare: bool) -> tuple[str, ...]:
    """Host values that mean it. `bare`: also without its namespace, which only one Service in a cluster can have."""
    name, namespace = service.metadata.name, service.metadata.namespace
    long = f"{name}.{namespace}"
    addresses = service.spec.cluster_ips or (service.spec.cluster_ip,)
    return (
        *((name,) if bare else ()), long, f"{long}.svc", f"{long}.svc.{domain}",
        *(f"[{each}]" if ":" in each else each for each in addresses if each not in ("", "None")),
    )  # fmt: skip


def unfit(service: Service, how: Intercept, itself: bool) -> Fault | None:
    """Why calls to its own address cannot be taken at all, None when they can; `itself`: it is its own backend."""
    name, spec = service.metadata.name, service.spec
    if spec.type == "ExternalName":
        why = f"Service {name} is an ExternalName: nobody calls an address of its own"
    elif spec.cluster_ip == "None":
        why = f"Service {name} is headless: its callers look up pods and go to their ports. Give it a cluster IP"
    elif how == "true" and itself and not spec.selector:
        why = f"Service {name} has no pods of its own: name the Service that selects them in the annotation {BACKENDS}"
    else:
        try:
            port_of(service)
        except NoPort as error:
            why = f"Service {name} {error}"
        else:
            return None
    return Fault("NotIntercepted", f"annotation {INTERCEPT}: {why}")


def partial(service: Service, how: Intercept) -> tuple[Fault, ...]:
    """Calls that go past the routers, or nowhere, though others are taken."""
    if how != "true":
        return ()
    if service.spec.selector:
        why = "has a selector, so that its pods take a part of the calls past the router: `cloudbase adopt --intercept` moves it"
    else:
        port = port_of(service)
        others = [f"{each.name} ({each.port}/{each.protocol})" for each in service.spec.ports or () if each != port]
        if not others:
            return ()
        why = f"leads to the router at its port {port.name} ({port.port}) only: nobody answers at {', '.join(others)}"
    return (Fault("InterceptedInPart", f"annotation {INTERCEPT}: Service {service.metadata.name} {why}"),)


def doors_of(slices: Iterable[EndpointSlice], port: int) -> list[Door]:
    """The routers' own Service's slices as doors: each pod listens at `port`."""
    return [
        Door(one.address_type, address, port, *_conditions(endpoint))
        for one in slices
        if one.address_type in FAMILIES
        for endpoint in one.endpoints or ()
        for address in endpoint.addresses[:1]
    ]


def wanted(service: Service, port: ServicePort, doors: Collection[Door]) -> dict[str, dict[str, Any]]:
    """The slices that the Service should have, by name: one for each family and port of the routers."""
    groups: dict[tuple[str, int], list[Door]] = {}
    for door in sorted(set(doors), key=lambda each: (each.family, each.port, each.ip)):
        groups.setdefault((door.family, door.port), []).append(door)
    return {
        f"{service.metadata.name}-routers-{family.lower()}-{number}": _slice(service, port, group)
        for (family, number), group in groups.items()
    }


def differs(seen: EndpointSlice, body: Mapping[str, Any]) -> bool:
    """Whether a slice must be written again. Owner and labels are ours since we made it."""
    endpoints = [(list(each.addresses), *_conditions(each)) for each in seen.endpoints or ()]
    asked = [(each["addresses"], *each["conditions"].values()) for each in body["endpoints"]]
    ports = [{"name": port.name or "", "port": port.port, "protocol": port.protocol} for port in seen.ports or ()]
    owners = [owner.uid for owner in seen.metadata.owner_references or ()]
    same_owner = owners == [owner["uid"] for owner in body["metadata"]["ownerReferences"]]
    return endpoints != asked or ports != body["ports"] or not same_owner


def _slice(service: Service, port: ServicePort, doors: list[Door]) -> dict[str, Any]:
    meta = service.metadata
    owner = {"apiVersion": "v1", "kind": "Service", "name": meta.name, "uid": meta.uid, "controller": True}
    return {
        "metadata": {"labels": {SERVICE_NAME: meta.name, MANAGED_BY: SLICER}, "ownerReferences": [owner]},
        "addressType": doors[0].family,
        "ports": [{"name": port.name, "port": doors[0].port, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [door.ip],
                "conditions": {"ready": door.ready, "serving": door.serving, "terminating": door.terminating},
            }
            for door in doors[:MOST]
        ],
    }


def _conditions(endpoint: SliceEndpoint) -> tuple[bool, bool, bool]:
    """ready, serving and terminating, as the rules for missing ones have it."""
    conditions = endpoint.conditions
    ready = conditions.ready is None or conditions.ready
    return ready, ready if conditions.serving is None else conditions.serving, bool(conditions.terminating)
