"""The manifests of a function: valid Kubernetes by its own schema, as safe as restricted pod security, and their own inverse."""

from __future__ import annotations

import copy
import json
from typing import Any

import kubernetes_validate
import msgspec
import pytest

from controller import plan
from controller.kube import crd, render
from controller.kube.deployer import as_wanted
from controller.kube.objects import Child
from controller.kube.render import Owner, PodRules
from controller.kube.same import covers
from controller.model import Function, FunctionSpec, Resources, Scaling
from kube.codec import codec
from router.kube.annotations import describe
from router.model import Backend
from tests.shared.controller_world import spec

OWNER = Owner("hello", "team", "uid-1")
RULES = PodRules(pull_secrets=("registry",), runtime_class="gvisor")
BUILT = spec(env={"A": "$(B)", "EMPTY": ""}, drain_timeout=5000.0, entry="src/api.js", image_pull_secrets=("mine",))
IMAGE = FunctionSpec(image="nginx:1", port=3000, env_from=("s1",), resources=Resources(cpu="0.5", memory="1Gi"))


def manifests() -> list[dict[str, Any]]:
    function = Function(name="hello", project="team", spec=spec(timeout=0, concurrency=3, scaling=Scaling(max=4, metric="rps")))
    pinned = Function(name="hello", project="team", spec=spec(replicas=2))
    backends = (Backend("hello-00002", (), 90), Backend("hello-00001", (), 10))
    return [
        render.deployment(OWNER, "hello-00001", "r/x@sha256:1", BUILT, 0, RULES),
        render.deployment(OWNER, "hello-00002", "nginx:1", IMAGE, 3, PodRules()),
        render.backend(OWNER, "hello-00001", IMAGE),
        render.route(OWNER, plan.route(function, backends)),
        render.route(OWNER, plan.route(pinned, backends)),
        crd.function({}),
        crd.revision(),
    ]


@pytest.mark.parametrize("version", ["1.33", "1.36"])
def test_every_manifest_is_what_kubernetes_takes(version: str) -> None:
    for manifest in manifests():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_pod_keeps_to_restricted_pod_security_and_has_no_token() -> None:
    for manifest in manifests()[:2]:
        pod = manifest["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert not {"hostNetwork", "volumes"} & pod.keys()


def test_a_pod_gets_the_runtime_contract_and_its_own_variables_unexpanded() -> None:
    pod = manifests()[0]["spec"]["template"]["spec"]
    env = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    assert (env["PORT"], env["CLOUDBASE_ENTRY"], env["A"]) == ("8080", "src/api.js", "$$(B)")
    assert (env["CLOUDBASE_GRACE"], pod["terminationGracePeriodSeconds"]) == ("900", 905)  # bounded, and the preStop besides
    assert pod["imagePullSecrets"] == [{"name": "mine"}, {"name": "registry"}]
    other = manifests()[1]["spec"]["template"]["spec"]["containers"][0]
    assert other["ports"][0]["containerPort"] == 3000
    assert other["readinessProbe"]["tcpSocket"] == {"port": 3000}
    assert other["resources"]["requests"] == {"cpu": "50m", "memory": "1Gi"}
    assert other["envFrom"] == [{"secretRef": {"name": "s1"}}]


def test_what_the_router_reads_of_a_route_is_what_was_published() -> None:
    backends = (Backend("hello-00002", (), 90), Backend("hello-00001", (), 10))
    limits = spec(queue_limit=5, queue_bytes=0, body_limit=9, sticky="header:X-User", client_abort="fin", upgrades=("a", "b"))
    bounds = spec(concurrency=3, idle_timeout=1.5, scaling=Scaling(min=1, max=4, target=2.5))
    for asked in (bounds, limits, spec(upgrades=()), spec(replicas=2)):
        route = plan.route(Function(name="hello", project="team", spec=asked), backends)
        found, faults = describe(render.route(OWNER, route)["metadata"]["annotations"], "hello", None)
        assert faults == ()
        assert (found.settings, found.policy) == (route.settings, route.policy)
        assert [(each.service, each.weight) for each in found.shares] == [("hello-00002", 90), ("hello-00001", 10)]


def stored(manifest: dict[str, Any]) -> Child:
    """As the API server would show it: with defaults, and quantities in its own notation."""
    whole = json.loads(json.dumps(manifest).replace('"0.5"', '"500m"'))
    whole["metadata"]["uid"] = "x"
    if whole["kind"] == "Deployment":
        whole["spec"]["progressDeadlineSeconds"] = 600
        whole["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
        for each in whole["spec"]["template"]["spec"]["containers"][0]["env"]:
            each.setdefault("extra", "default")
    return codec(Child).decode(msgspec.json.encode(whole))


def test_what_is_as_wanted_is_not_written_again_and_every_edit_of_ours_is_seen() -> None:
    for manifest in manifests()[:5]:
        assert as_wanted(stored(manifest), manifest)
        assert not as_wanted(None, manifest)
        edited = copy.deepcopy(manifest)
        edited["metadata"]["labels"]["cloudbase.dev/function"] = "other"
        assert not as_wanted(stored(edited), manifest)
        orphaned = copy.deepcopy(manifest)
        del orphaned["metadata"]["ownerReferences"]
        assert not as_wanted(stored(orphaned), manifest)
    deployment = manifests()[1]
    for change in (
        lambda pod: pod["containers"][0].update(image="evil"),
        lambda pod: pod["containers"][0]["env"].pop(),
        lambda pod: pod["containers"][0]["resources"]["limits"].update(memory="2Gi"),
        lambda pod: pod.update(automountServiceAccountToken=True),
        lambda pod: pod["tolerations"].clear(),
    ):
        edited = copy.deepcopy(deployment)
        change(edited["spec"]["template"]["spec"])
        assert not as_wanted(stored(edited), deployment)


def test_what_others_added_is_theirs() -> None:
    assert covers({"a": 1, "b": 2}, {"a": 1})
    assert covers([{"name": "x", "value": 1}, {"name": "y"}], [{"name": "y"}])
    assert covers(None, {})
    assert not covers({"a": [1, 2]}, {"a": [1]})
    assert not covers({}, {"a": ""})
