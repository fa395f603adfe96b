"""What must change on a Deployment and its Service so that the router serves it, and how it is taken back. No socket in here.

Everything that is overwritten is kept in an annotation beside it, so that `--undo` restores it exactly.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudbase import interception
from cloudbase.errors import Misused
from cloudbase.interception import ADOPTED, Change, Kind, Manifest, kept, selector_of
from router.kube.annotations import LABEL
from router.kube.names import DEPLOYMENT, PORT, PREFIX, PROBE, ROUTE, SCALING

MINIMUM = PREFIX + "scale-min"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for."""

    name: str = ""  # of the route; "" = the Deployment's
    service: str = ""  # "" = the one that selects the Deployment's pods
    port: str = ""  # of the Service, by name or number; "" = its only one
    to_zero: bool = False
    intercept: bool = False  # calls to the Service's own address go through the router, too
    drain: int = 0  # seconds that a pod goes on serving before it is told to end; 0 = not our business


@dataclass(slots=True)
class Plan:
    """What to do, in order, and what the user should know."""

    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def adopt(
    deployment: Manifest,
    services: Iterable[Manifest],
    autoscalers: Iterable[Manifest],
    wishes: Wishes,
    stale: Collection[str] = (),
) -> Plan:
    """`stale`: intercepted Services that have addresses of pods left. Raises Misused when it cannot be done, with what to do."""
    plan, services = Plan(), list(services)
    service = _service(deployment, services, wishes.service)
    name = wishes.name or _name(deployment)
    if not LABEL.fullmatch(name):
        raise Misused(f"{name!r} cannot be a route's name: it is no DNS label", "name the route with --name")
    _expect_free(name, service, services)
    container = _container(deployment, _port(service, wishes.port))
    annotations = _own(deployment, container, wishes, plan) | _other_scaler(deployment, autoscalers, wishes, plan)
    annotations |= _no_longer(service, annotations)
    if SCALING not in annotations and _annotations(service).get(SCALING) == "external":
        plan.warnings.append(f"its annotation {SCALING} = external stays: the router neither resizes nor wakes it")
    there = {"replicas": deployment["spec"].get("replicas", 1)}
    if wishes.intercept or interception.state(service):
        _intercept(plan, service, services, {ROUTE: name}, annotations, there, _name(service) in stale)
    else:
        _add(plan, "service", service, {ROUTE: name}, annotations, there)
        _warn_of_bypass(plan, service, wishes)
    if wishes.drain:
        _add_drain(plan, deployment, container, wishes.drain)
    elif not _pre_stop(container):
        plan.warnings.append(
            "no preStop hook: its program must finish what is in flight after SIGTERM; for one that does not, there is --drain 5s"
        )
    return plan


def _own(deployment: Manifest, container: Manifest, wishes: Wishes, plan: Plan) -> dict[str, str | None]:
    """What the route is told of the Deployment, and of what was wished."""
    annotations: dict[str, str | None] = {DEPLOYMENT: _name(deployment), MINIMUM: "0" if wishes.to_zero else "1"}
    if wishes.port:
        annotations[PORT] = wishes.port
    if probe := _probe(container):
        annotations[PROBE] = json.dumps(probe, separators=(",", ":"))
    else:
        plan.warnings.append("no readiness probe: a pod counts as ready as soon as its container runs; give it one")
    return annotations


def undo(deployment: Manifest, services: Iterable[Manifest]) -> Plan:
    """Take everything back; where fewer replicas are left than there were, they come again: nobody else would see to it."""
    plan = Plan()
    adopted = [
        each for each in services if ADOPTED in _annotations(each) and _annotations(each).get(DEPLOYMENT) == _name(deployment)
    ]
    wake = _wake(deployment, adopted)
    for service in adopted:
        intercepted = bool(interception.state(service))
        plan.changes += interception.leading_out(service, wake) if intercepted else []
        plan.changes.append(_give_back(service, kept(service)))
        plan.changes += [interception.closing(service)] if intercepted else wake
        wake = []
    if drained := kept(deployment):
        plan.changes.append(_undo_drain(deployment, drained))
    if not plan.changes:
        raise Misused(f"Deployment {_name(deployment)} was not adopted by this command", "")
    plan.changes += wake
    return plan


def _wake(deployment: Manifest, adopted: Iterable[Manifest]) -> list[Change]:
    """Back to as many replicas as there were; one at least, also where another scales it."""
    now = deployment["spec"].get("replicas", 1)
    ours = (kept(each).get("replicas") for each in adopted if _annotations(each).get(SCALING) != "external")
    wanted = max([1, *(each for each in ours if isinstance(each, int))])
    if now >= wanted:
        return []
    words = f"replicas: {now} -> {wanted}, as {'there were' if wanted > 1 else 'nobody would wake it'}"
    return [Change("scale", _name(deployment), {"replicas": wanted}, (words,))]


def _give_back(service: Manifest, before: Mapping[str, Any]) -> Change:
    labels, own = before.get("labels", {}), {**before.get("annotations", {}), ADOPTED: None}
    words = [*_words("label", labels), *_words("annotation", own)]
    return Change("service", _name(service), {"metadata": {"labels": labels, "annotations": own}}, tuple(words))


# --- finding ---


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def _annotations(manifest: Manifest) -> Mapping[str, str]:
    return manifest["metadata"].get("annotations") or {}


def _expect_free(name: str, service: Manifest, services: Iterable[Manifest]) -> None:
    """Raises Misused where another Service beside it is the route of this name: the older one would stay it."""
    for each in services:
        if (each["metadata"].get("labels") or {}).get(ROUTE) == name and _name(each) != _name(service):
            raise Misused(f"Service {_name(each)!r} is the route {name!r} already", "choose another name with --name")


def _service(deployment: Manifest, services: list[Manifest], wanted: str) -> Manifest:
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    matching = [each for each in services if _selects(each, labels)]
    if wanted:
        found = [each for each in services if _name(each) == wanted]
        if not found:
            raise Misused(f"there is no Service {wanted!r}", f"there are: {', '.join(map(_name, services)) or 'none'}")
        if found[0] not in matching:
            raise Misused(f"Service {wanted!r} does not select the pods of Deployment {_name(deployment)!r}", "name another one")
        return found[0]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise Misused(f"several Services select its pods: {', '.join(map(_name, matching))}", "name one with --service")
    raise Misused(
        f"no Service selects the pods of Deployment {_name(deployment)!r}",
        f"make one: kubectl expose deployment {_name(deployment)} --port 80 --target-port CONTAINER_PORT",
    )


def _selects(service: Manifest, labels: Mapping[str, str]) -> bool:
    selector = selector_of(service)
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _port(service: Manifest, wanted: str) -> Manifest:
    ports: list[Manifest] = [port for port in service["spec"].get("ports") or [] if port.get("protocol", "TCP") == "TCP"]
    titles = ", ".join(f"{port['name']} ({port['port']})" if port.get("name") else str(port["port"]) for port in ports)
    if wanted:
        for port in ports:
            if wanted in (port.get("name"), str(port["port"])):
                return port
        raise Misused(f"Service {_name(service)!r} has no TCP port {wanted!r}", f"it has: {titles or 'none'}")
    if len(ports) != 1 and not (named := [port for port in ports if port.get("name") == "http"]):
        raise Misused(f"Service {_name(service)!r} has {len(ports)} TCP ports: {titles}", "name one with --port")
    return ports[0] if len(ports) == 1 else named[0]


def _container(deployment: Manifest, port: Manifest) -> Manifest:
    """The container that the Service's port leads to; the first one where none says so."""
    containers: list[Manifest] = deployment["spec"]["template"]["spec"]["containers"]
    target = port.get("targetPort", port["port"])
    for container in containers:
        for own in container.get("ports") or []:
            if target in (own.get("name"), own["containerPort"]):
                return container
    if isinstance(target, str):
        raise Misused(
            f"no container has a port named {target!r}, which the Service's port points at", "correct the Service first"
        )
    return containers[0]


def _probe(container: Manifest) -> dict[str, Any] | None:
    """The container's readiness probe, as far as the router can make it: not an exec probe; named ports as numbers."""
    probe = container.get("readinessProbe") or {}
    numbers = {own.get("name"): own["containerPort"] for own in container.get("ports") or []}
    for kind in ("httpGet", "tcpSocket", "grpc"):
        if kind in probe and not probe[kind].get("host"):
            port = probe[kind].get("port", 0)
            what = {**probe[kind], "port": numbers.get(port, port) if isinstance(port, str) else port}
            return {kind: what, **({"timeoutSeconds": probe["timeoutSeconds"]} if "timeoutSeconds" in probe else {})}
    return None


def _pre_stop(container: Manifest) -> Any:
    return (container.get("lifecycle") or {}).get("preStop")


def _other_scaler(deployment: Manifest, autoscalers: Iterable[Manifest], wishes: Wishes, plan: Plan) -> dict[str, str]:
    for each in autoscalers:
        target = each["spec"]["scaleTargetRef"]
        if target["kind"] == "Deployment" and target["name"] == _name(deployment):
            if wishes.to_zero:
                raise Misused(
                    f"HorizontalPodAutoscaler {_name(each)!r} scales this Deployment: it and the router would undo each other",
                    "delete it first, or adopt without --to-zero and leave scaling to it",
                )
            plan.warnings.append(f"HorizontalPodAutoscaler {_name(each)} goes on scaling it; the router does not")
            return {SCALING: "external"}
    return {}


# --- changing ---


def _no_longer(service: Manifest, wanted: Collection[str]) -> dict[str, str | None]:
    """What an earlier adoption wrote and this one has no reason for, as it was before that: None = it was not there."""
    before, now = kept(service).get("annotations", {}), _annotations(service)
    gone = [key for key in (PORT, PROBE, SCALING) if key in before and key not in wanted]
    return {key: before[key] for key in gone if now.get(key) != before[key]}


def _add(
    plan: Plan,
    kind: Kind,
    target: Manifest,
    labels: Mapping[str, str],
    annotations: Mapping[str, str | None],
    there: Mapping[str, Any],
) -> None:
    """What differs, with what was there before beside it, and what else was `there`; nothing when nothing differs."""
    meta = target["metadata"]
    old_labels, old = meta.get("labels") or {}, meta.get("annotations") or {}
    new_labels = {key: value for key, value in labels.items() if old_labels.get(key) != value}
    new = {key: value for key, value in annotations.items() if old.get(key) != value}
    if not new_labels and not new:
        return
    first = kept(target)
    before = {
        **there,
        **first,
        "labels": {**{key: old_labels.get(key) for key in new_labels}, **first.get("labels", {})},
        "annotations": {**{key: old.get(key) for key in new}, **first.get("annotations", {})},
    }
    patch = {"metadata": {"labels": new_labels, "annotations": {**new, ADOPTED: json.dumps(before, sort_keys=True)}}}
    plan.changes.append(Change(kind, _name(target), patch, (*_words("label", new_labels), *_words("annotation", new))))


def _intercept(
    plan: Plan,
    service: Manifest,
    services: list[Manifest],
    labels: Mapping[str, str],
    annotations: Mapping[str, str | None],
    there: Mapping[str, Any],
    stale: bool,
) -> None:
    interception.check(service, services)
    of_pods = {key: value for key, value in annotations.items() if key in (DEPLOYMENT, PORT) and value is not None}
    plan.changes += interception.direct(service, services, of_pods)
    said = {**annotations, **interception.said_of(service)}
    _add(plan, "service", service, labels, said, {**there, "selector": dict(selector_of(service))})
    plan.changes += interception.leading_in(service, stale)


def _add_drain(plan: Plan, deployment: Manifest, container: Manifest, seconds: int) -> None:
    if (_pre_stop(container) or {}).get("sleep") == {"seconds": seconds}:
        return
    if _pre_stop(container):
        raise Misused(f"container {container['name']!r} has a preStop hook already", "leave --drain out")
    grace = deployment["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30)
    if seconds >= grace:
        raise Misused(f"--drain {seconds}s leaves no time to end: its terminationGracePeriodSeconds is {grace}", "choose less")
    lifecycle = {**(container.get("lifecycle") or {}), "preStop": {"sleep": {"seconds": seconds}}}
    patch = _patch_container(deployment, container["name"], lifecycle)
    patch["metadata"]["annotations"] = {ADOPTED: json.dumps({"container": container["name"]})}
    words = (f"container {container['name']}: preStop sleep of {seconds} s (its pods are replaced, one rollout)",)
    plan.changes.append(Change("deployment", _name(deployment), patch, words))


def _undo_drain(deployment: Manifest, before: Mapping[str, str]) -> Change:
    name = before["container"]
    containers = deployment["spec"]["template"]["spec"]["containers"]
    lifecycle = next((each.get("lifecycle") or {} for each in containers if each["name"] == name), {})
    rest = {key: value for key, value in lifecycle.items() if key != "preStop"}
    patch = _patch_container(deployment, name, rest or None)
    patch["metadata"]["annotations"] = {ADOPTED: None}
    return Change(
        "deployment", _name(deployment), patch, (f"container {name}: no preStop sleep (its pods are replaced, one rollout)",)
    )


def _patch_container(deployment: Manifest, name: str, lifecycle: Any) -> dict[str, Any]:
    """A merge patch replaces a list as a whole, so it carries the version that the list was read in."""
    containers = [
        {key: value for key, value in {**each, "lifecycle": lifecycle}.items() if value is not None}
        if each["name"] == name
        else each
        for each in deployment["spec"]["template"]["spec"]["containers"]
    ]
    version = deployment["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version}, "spec": {"template": {"spec": {"containers": containers}}}}


def _warn_of_bypass(plan: Plan, service: Manifest, wishes: Wishes) -> None:
    address = f"Service {_name(service)}'s own address"
    if wishes.to_zero:
        plan.warnings.append(f"calls to {address} go past the router: they find nobody while it sleeps, and do not wake it")
    else:
        plan.warnings.append(
            f"calls to {address} go past the router and are not counted, so one replica is kept; --to-zero gives it up"
        )


def _words(what: str, values: Mapping[str, str | None]) -> list[str]:
    return [f"{what} {key} = {value}" if value is not None else f"{what} {key} removed" for key, value in values.items()]
