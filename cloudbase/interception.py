"""How a Service's own address comes to lead to the routers, and back, without a call lost in between. No socket in here.

Its selector moves to a new Service `<name>-direct`. The routers' addresses come beside the pods' first, and the pods' go when
those are there; on the way back the pods come first. In each step somebody answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cloudbase.errors import Misused
from router.kube.names import BACKENDS, INTERCEPT, PREFIX

ADOPTED = PREFIX + "adopted"  # annotation: JSON of what was there before, null for what was not
DIRECT_OF = PREFIX + "direct-of"  # annotation of the Service that was made for the pods: whose they were
SUFFIX = "-direct"
NAME_MOST = 63

Manifest = Mapping[str, Any]
Kind = Literal["service", "deployment", "scale", "new service", "routers", "clear", "pods", "release", "gone service"]


@dataclass(frozen=True, slots=True)
class Change:
    """One step; `words` say it, a line for each field.

    service, deployment: a merge patch. scale: {"replicas": n}. new service: the manifest. gone service: delete it.
    routers, pods: wait until their addresses are the Service's. clear, release: delete the addresses of the pods, of the routers.
    """

    kind: Kind
    name: str
    patch: dict[str, Any]
    words: tuple[str, ...]


def kept(target: Manifest) -> dict[str, Any]:
    """What was written down of a Service or Deployment when it was adopted; {} when it was not.

    Raises Misused where somebody has changed that.
    """
    text = (target["metadata"].get("annotations") or {}).get(ADOPTED, "{}")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Misused(
            f"{target['metadata']['name']}: its annotation {ADOPTED} is not what was written there: {text[:80]!r}",
            "remove it, and by hand what else begins with cloudbase.dev/ and is not wanted",
        )
    return found


def selector_of(service: Manifest) -> Mapping[str, str]:
    """The selector that a Service had before it was intercepted; none of one that we made."""
    own = service["metadata"].get("annotations") or {}
    if DIRECT_OF in own:
        return {}
    selector: Mapping[str, str] = kept(service).get("selector") or service["spec"].get("selector") or {}
    return selector


def check(front: Manifest, services: Iterable[Manifest]) -> None:
    """Raises Misused where the Service's address cannot lead to the routers."""
    name = front["metadata"]["name"]
    if why := _unfit(name, front["spec"]):
        raise Misused(f"Service {name!r} {why}", "adopt it without --intercept")
    for each in services:
        if each["metadata"]["name"] == name + SUFFIX and (each["metadata"].get("annotations") or {}).get(DIRECT_OF) != name:
            raise Misused(f"there is a Service {name + SUFFIX!r} already, of somebody else", "rename it")


def _unfit(name: str, spec: Manifest) -> str:
    ports = spec.get("ports") or []
    protocols = {port.get("appProtocol", "http") for port in ports} - {"http", "kubernetes.io/ws"}
    titles = ", ".join(f"{port.get('name', '')} ({port['port']})" for port in ports)
    reasons = {
        "is an ExternalName: it has no address of its own": spec.get("type") == "ExternalName",
        "is headless: its callers look up pods and go to their ports": spec.get("clusterIP") == "None",
        f"has several ports ({titles}): all would lead to the router, which has one": len(ports) > 1,
        f"says that its port speaks {', '.join(protocols)}: the router takes HTTP/1.1": protocols,
        "has the traffic policy Local: a node without a router would answer nobody": "Local"
        in (spec.get("internalTrafficPolicy"), spec.get("externalTrafficPolicy")),
        f"has too long a name for a Service {name + SUFFIX}": len(name + SUFFIX) > NAME_MOST,
    }
    return next((why for why, so in reasons.items() if so), "")


def said_of(front: Manifest) -> dict[str, str]:
    """What the route's Service says of it, to begin with."""
    backends = json.dumps([{"service": front["metadata"]["name"] + SUFFIX}], separators=(",", ":"))
    return {BACKENDS: backends, INTERCEPT: state(front) or "joining"}


def state(front: Manifest) -> str:
    """As the annotation has it."""
    return str((front["metadata"].get("annotations") or {}).get(INTERCEPT, ""))


def direct(front: Manifest, services: Iterable[Manifest], own: Mapping[str, str]) -> list[Change]:
    """The Service for the pods, with the annotations of a backend; nothing when it is there."""
    name = front["metadata"]["name"] + SUFFIX
    if any(each["metadata"]["name"] == name for each in services):
        return []
    selector = dict(selector_of(front))
    taken = ("name", "port", "targetPort", "protocol", "appProtocol")
    ports = [{key: port[key] for key in taken if key in port} for port in front["spec"]["ports"]]
    meta = {"name": name, "annotations": {**own, DIRECT_OF: front["metadata"]["name"]}}
    words = (f"selector {json.dumps(selector)}, as {front['metadata']['name']} has it", f"ports {json.dumps(ports)}")
    return [Change("new service", name, {"metadata": meta, "spec": {"selector": selector, "ports": ports}}, words)]


def leading_in(front: Manifest, stale: bool) -> list[Change]:
    """What follows when the route is there; `stale`: addresses of pods are left from before."""
    name = front["metadata"]["name"]
    clear = Change("clear", name, {}, ("its Endpoints and EndpointSlices that name pods are deleted",))
    if state(front) == "true" and not front["spec"].get("selector"):
        return [clear] if stale else []
    waiting = Change("routers", name, {}, ("wait until the routers' addresses are beside the pods'",))
    patch = {"metadata": {"annotations": {INTERCEPT: "true"}}, "spec": {"selector": None}}
    return [waiting, Change("service", name, patch, (f"annotation {INTERCEPT} = true", "selector removed")), clear]


def leading_out(front: Manifest, asleep: list[Change]) -> list[Change]:
    """What comes before the route is taken back; `asleep`: how it is woken, if it sleeps."""
    name, selector = front["metadata"]["name"], dict(selector_of(front))
    back = {"metadata": {"annotations": {INTERCEPT: "joining"}}, "spec": {"selector": selector}}
    return [
        Change("service", name, back, (f"selector {json.dumps(selector)}", f"annotation {INTERCEPT} = joining")),
        *asleep,
        Change("pods", name, {}, ("wait until its pods' addresses are beside the routers'",)),
        Change("service", name, {"metadata": {"annotations": {INTERCEPT: "leaving"}}}, (f"annotation {INTERCEPT} = leaving",)),
        Change("release", name, {}, ("its EndpointSlices that name routers are deleted, and 3 s given to all to notice",)),
    ]


def closing(front: Manifest) -> Change:
    """The last step back."""
    name = front["metadata"]["name"] + SUFFIX
    return Change("gone service", name, {}, ("deleted",))
