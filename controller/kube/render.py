"""What a function is made of in a cluster: a Deployment and a Service for each revision, one Service as its route. Pure.

A revision's Deployment is made from the settings that the revision was recorded with, so that it does not change afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.model import Policy
from controller import quantity
from controller.kube.names import API_VERSION, FUNCTION, REVISION, labels
from controller.model import FunctionSpec
from router.kube import names as router
from router.kube.annotations import POLICY, SETTINGS
from router.model import Route, Settings

Manifest = dict[str, Any]

PORT = 8080  # where functions listen unless their image says otherwise
PRE_STOP = 5  # seconds in which a pod that is to end goes on serving, until everybody has noticed
AWAY = 1  # seconds that a pod stays bound to a node that is not heard of
INTERCEPT = "cloudbase.dev/intercept"  # calls to the Service's own address go through the routers, which wake and count
USER = 65532  # of the images that are built here


@dataclass(frozen=True, slots=True)
class PodRules:
    """What the operator sets of functions' pods."""

    grace_most: float = 900.0  # seconds that streams may keep a pod that is to end, whatever drainTimeout says
    cpu_request: float = 0.1  # part of the CPU limit that is reserved
    pull_secrets: tuple[str, ...] = ()  # Secrets, in every function's namespace, to pull images with
    runtime_class: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """The Function that children belong to."""

    name: str
    namespace: str
    uid: str


def reference(owner: Owner) -> Manifest:
    """As an owner reference: children go with their Function."""
    return {"apiVersion": API_VERSION, "kind": "Function", "name": owner.name, "uid": owner.uid, "controller": True}


def deployment(owner: Owner, revision: str, artifact: str, spec: FunctionSpec, replicas: int, rules: PodRules) -> Manifest:
    """The Deployment of a revision, with this many replicas."""
    selector = {FUNCTION: owner.name, REVISION: revision}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(owner, revision, labels(owner.name, revision)),
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "template": {
                "metadata": {"labels": labels(owner.name, revision)},
                "spec": _pod(owner.name, revision, artifact, spec, rules),
            },
        },
    }


def backend(owner: Owner, revision: str, spec: FunctionSpec) -> Manifest:
    """The Service by which routers find a revision's pods."""
    own = {router.DEPLOYMENT: revision, router.PORT: "http", router.PROBE: json.dumps(_probe(port(spec)))}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**_metadata(owner, revision, labels(owner.name, revision)), "annotations": own},
        "spec": {"selector": {FUNCTION: owner.name, REVISION: revision}, "ports": [_port("http")]},
    }


def route(owner: Owner, what: Route) -> Manifest:
    """The Service that is the route: without a selector, since the routers answer at its address."""
    own = {router.BACKENDS: backends(what), INTERCEPT: "true", **route_settings(what)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            **_metadata(owner, owner.name, {**labels(owner.name), router.ROUTE: owner.name}),
            "annotations": own,
        },
        "spec": {"ports": [_port(PORT)]},
    }


def backends(what: Route) -> str:
    """The annotation that says who is behind a route."""
    return json.dumps([{"service": each.revision, "weight": each.weight} for each in what.backends])


def route_settings(what: Route) -> dict[str, str]:
    """Settings that are not as by default, and the whole policy, as annotations; without a policy somebody else scales it."""
    usual = Settings()
    own = {
        known.key: _text(getattr(what.settings, known.field))
        for known in SETTINGS
        if getattr(what.settings, known.field) != getattr(usual, known.field)
    }
    if what.policy is None:
        return {**own, router.SCALING: "external"}
    return {**own, **_policy(what.policy)}


def port(spec: FunctionSpec) -> int:
    """Where the function's program listens."""
    return spec.port or PORT


def grace(spec: FunctionSpec, rules: PodRules) -> int:
    """Seconds between SIGTERM and SIGKILL."""
    return max(1, round(min(spec.drain_timeout, rules.grace_most)))


def _policy(policy: Policy) -> dict[str, str]:
    return {known.key: _text(getattr(policy, known.field)) for known in POLICY}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return repr(value) if isinstance(value, float) else str(value)


def _metadata(owner: Owner, name: str, own: Mapping[str, str]) -> Manifest:
    return {"name": name, "namespace": owner.namespace, "labels": dict(own), "ownerReferences": [reference(owner)]}


def _port(target: int | str) -> Manifest:
    return {"name": "http", "port": 80, "protocol": "TCP", "targetPort": target}


def _probe(number: int) -> Manifest:
    """Whoever listens is ready: so the runtime contract says, and what is not one of our runtimes has no other sign."""
    return {"tcpSocket": {"port": number}}


def _pod(function: str, revision: str, artifact: str, spec: FunctionSpec, rules: PodRules) -> Manifest:
    secrets = dict.fromkeys((*spec.image_pull_secrets, *rules.pull_secrets))
    away = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace(spec, rules) + PRE_STOP,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **({} if spec.image else {"runAsUser": USER, "runAsGroup": USER}),
        },
        "tolerations": [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": AWAY} for key in away],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {REVISION: revision}},
            }
        ],
        "containers": [_container(function, revision, artifact, spec, rules)],
        **({"imagePullSecrets": [{"name": each} for each in secrets]} if secrets else {}),
        **({"runtimeClassName": rules.runtime_class} if rules.runtime_class else {}),
    }


def _container(function: str, revision: str, artifact: str, spec: FunctionSpec, rules: PodRules) -> Manifest:
    number = port(spec)
    return {
        "name": "function",
        "image": artifact,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": number, "protocol": "TCP"}],
        "env": _environment(function, revision, spec, rules),
        **({"envFrom": [{"secretRef": {"name": each}} for each in spec.env_from]} if spec.env_from else {}),
        "resources": {
            "limits": {"cpu": spec.resources.cpu, "memory": spec.resources.memory},
            "requests": {"cpu": _requested(spec, rules), "memory": spec.resources.memory},
        },
        "readinessProbe": {**_probe(number), "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 3},
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _requested(spec: FunctionSpec, rules: PodRules) -> str:
    return f"{max(1, round(1000 * rules.cpu_request * quantity.cpus(spec.resources.cpu)))}m"


def _environment(function: str, revision: str, spec: FunctionSpec, rules: PodRules) -> list[Manifest]:
    """The runtime contract's variables, then the function's own, in which nothing is expanded."""
    ours = {
        "PORT": str(port(spec)),
        "CLOUDBASE_FUNCTION": function,
        "CLOUDBASE_REVISION": revision,
        "CLOUDBASE_ENTRY": spec.entry,
        "CLOUDBASE_TIMEOUT": f"{spec.timeout:g}",
        "CLOUDBASE_CONCURRENCY": str(spec.concurrency),
        "CLOUDBASE_GRACE": str(grace(spec, rules)),
        "CLOUDBASE_LOG_FORMAT": "json",
    }
    own = {name: value.replace("$(", "$$(") for name, value in spec.env.items()}
    return [{"name": name, "value": value} for name, value in {**ours, **own}.items() if value]
