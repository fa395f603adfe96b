"""A route's Service, its backends and their slices as one Route. No clock and no socket in here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from autoscaler.model import Policy
from kube.model import EndpointSlice, Service, ServicePort
from router.kube.annotations import LABEL, Bad, describe, probe
from router.kube.intercept import partial, unfit
from router.kube.model import Address, Described, Fault, Pending, Pod, Probe, Replicas, Share, Standing, Translation
from router.kube.names import DEPLOYMENT, INTERCEPT, PROBE, ROUTE
from router.kube.slices import addresses, port_of
from router.model import Backend, Endpoint, Route, RouteKey


class View(Protocol):
    """What else is known of the cluster."""

    def service(self, namespace: str, name: str) -> Service | None: ...

    def slices(self, namespace: str, name: str) -> Iterable[EndpointSlice]:
        """The EndpointSlices of a Service."""

    def hosts(self, service: Service) -> tuple[str, ...]:
        """Host values that mean an intercepted Service; its bare name only where no other has it."""

    def standing(self, namespace: str, revision: str, address: Address) -> Standing:
        """What we found or decided about a pod ourselves.

        admitted: it passed our probe; proven: it was ready once, so from then on the kubelet's word counts; draining: it takes
        requests only when nothing else is left; shut: it takes none.
        """


def is_route(service: Service) -> bool:
    """It wants to be a route."""
    return ROUTE in (service.metadata.labels or {})


def key_of(service: Service, project: str) -> RouteKey | Fault:
    """The key that a route's Service asks for, or why it cannot have it."""
    name = (service.metadata.labels or {}).get(ROUTE, "")
    if not LABEL.fullmatch(name):
        note = f"label {ROUTE}: {name!r} is no DNS label: at most 63 of a-z, 0-9 and -, not - at an end"
        return Fault("BadLabel", note)
    return RouteKey("*", project, name)


def seniority(service: Service) -> tuple[str, str]:
    """Of two Services that want one key, the one with less of this has it: the older, then the smaller UID."""
    return service.metadata.creation_timestamp or "", service.metadata.uid


def translate(service: Service, key: RouteKey, view: View, last: Described | None) -> Translation:
    """The route as it is now; `last` is what its annotations said when they were good."""
    own = service.metadata.annotations or {}
    described, found = describe(own, service.metadata.name, last)
    faults = list(found)
    backends: list[Backend] = []
    replicas: list[Replicas] = []
    pending: list[Pending] = []
    pods: list[Pod] = []
    for share in described.shares:
        target = view.service(service.metadata.namespace, share.service)
        if target is None:
            faults.append(Fault("NoBackend", f"backend {share.service}: there is no such Service in this namespace"))
            backends.append(Backend(share.service, (), share.weight))
            continue
        here, wrong = addresses(target, view.slices(service.metadata.namespace, share.service))
        faults += wrong
        asked = _probe(target, described, faults)
        standing = [(each, view.standing(service.metadata.namespace, share.service, each)) for each in here]
        backends.append(Backend(share.service, _endpoints(standing), share.weight))
        replicas += _replicas(target, share)
        pending += _pending(target, asked, standing)
        pods += [Pod(share.service, each, how) for each, how in standing]
    policy = _policy(described) if replicas else None
    hosts, door = _intercepted(service, described, view, faults)
    route = Route(key, tuple(backends), described.settings, policy, hosts)
    return Translation(route, described, tuple(faults), tuple(replicas), tuple(pending), tuple(pods), door)


def _policy(described: Described) -> Policy | None:
    """While calls go to the pods and to the routers, or are on their way between the two, none is a reason to sleep."""
    policy = described.policy
    if policy is None or policy.minimum or described.intercept not in ("joining", "leaving"):
        return policy
    return replace(policy, minimum=1)


def _intercepted(
    service: Service, described: Described, view: View, faults: list[Fault]
) -> tuple[tuple[str, ...], ServicePort | None]:
    """The hosts that mean the route, and the port that is to lead to the routers."""
    how, name = described.intercept, service.metadata.name
    if not how:
        return (), None
    if wrong := unfit(service, how, any(share.service == name for share in described.shares)):
        faults.append(wrong)
        return (), None
    faults += partial(service, how)
    hosts = view.hosts(service)
    if name not in hosts:
        why = f"http://{name} without a namespace may mean several: only calls that name one, as {hosts[0]}, are answered"
        faults.append(Fault("HostShared", f"annotation {INTERCEPT}: {why}"))
    return hosts, None if how == "leaving" else port_of(service)


def _endpoints(standing: Iterable[tuple[Address, Standing]]) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(each.address, each.draining or how == "draining")
        for each, how in standing
        if how != "shut" and (each.ready or each.draining or how == "admitted")
    )


def _pending(target: Service, asked: Probe | None, standing: Iterable[tuple[Address, Standing]]) -> list[Pending]:
    meta = target.metadata
    return [
        Pending(meta.namespace, meta.name, each, asked)
        for each, how in standing
        if not (each.ready or each.draining) and how == ""
    ]


def _replicas(target: Service, share: Share) -> list[Replicas]:
    deployment = (target.metadata.annotations or {}).get(DEPLOYMENT, "")
    return [Replicas(target.metadata.namespace, deployment, share.service, share.weight)] if deployment else []


def _probe(target: Service, described: Described, faults: list[Fault]) -> Probe | None:
    own = target.metadata.annotations or {}
    if PROBE not in own:
        return described.probe
    try:
        return probe(own)
    except Bad as bad:
        fault = Fault("BadAnnotation", f"backend {target.metadata.name}: {bad}; only the kubelet's word counts")
        if not any(str(bad) in each.note for each in faults):
            faults.append(fault)
        return described.probe
