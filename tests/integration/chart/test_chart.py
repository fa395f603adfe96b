"""The chart: helm accepts it, what it renders is valid Kubernetes, and it says what the code needs said."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

import json

from helm import CHART, only, render, run
from router.kube.settings import KubeSettings
from router.settings import Settings

VERSIONS = ("1.30", "1.36")  # of Kubernetes: the oldest and the newest that it is for
OTHERS = {"gateway.networking.k8s.io", "monitoring.coreos.com"}  # whose schemas are not Kubernetes' own
WITHOUT_NAMESPACE = ("Cluster", "ValidatingAdmission", "ValidatingWebhook", "MutatingWebhook")
SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "two namespaces": {"namespaces": ["team-a", "team-b"]},
    "reached from outside and watched": {
        "ingress": {
            "enabled": True,
            "className": "traefik",
            "hosts": ["functions.example.com", "*.example.org"],
            "tls": [{"secretName": "functions-tls", "hosts": ["functions.example.com"]}],
            "annotations": {"a": "b"},
        },
        "httpRoute": {
            "enabled": True,
            "parents": [{"name": "public", "namespace": "gateways"}],
            "hosts": ["functions.example.com"],
        },
        "networkPolicy": {"enabled": True, "clients": [{"namespaceSelector": {"matchLabels": {"edge": "yes"}}}]},
        "metrics": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "alerts": {"enabled": True},
            "dashboards": {"enabled": True},
        },
    },
    "values-dev.yaml": yaml.safe_load((CHART / "values-dev.yaml").read_text()),
    "values-ha.yaml": yaml.safe_load((CHART / "values-ha.yaml").read_text()),
    "two routers and another's Redis": {
        "router": {"replicas": 2},
        "redis": {"enabled": False, "url": "rediss://redis.example.com"},
    },
    "everything set": {
        "admission": {"webhooks": True},
        "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"], "pullPolicy": "Always"},
        "fullnameOverride": "base",
        "labels": {"team": "platform"},
        "router": {
            "drain": {"delay": 0.5, "grace": 2},
            "settings": {"headSize": 32768, "accessLog": 0.25, "trusted": ["10.0.0.0/8", "fd00::/8"]},
            "env": [{"name": "EXTRA", "value": "1"}],
            "service": {"type": "LoadBalancer", "loadBalancerClass": "internal", "annotations": {"a": "b"}, "nodePort": 30080},
            "podAnnotations": {"c": "d"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "system-cluster-critical",
        },
    },
}


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_everything_that_it_renders_is_valid_kubernetes(values: dict[str, Any]) -> None:
    manifests = render(values, "--include-crds")
    assert manifests
    for manifest in manifests:
        for version in VERSIONS:
            if manifest["apiVersion"].partition("/")[0] not in OTHERS:
                kubernetes_validate.validate(manifest, version, strict=True)


def test_helm_lints_it() -> None:
    for values in SETS.values():
        assert "0 chart(s) failed" in run("lint", "--strict", str(CHART), values=values)


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_every_object_has_a_name_of_its_own_and_its_namespace(values: dict[str, Any]) -> None:
    manifests = render(values)
    keys = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in manifests]
    assert len(keys) == len(set(keys))
    assert all(namespace or kind.startswith(WITHOUT_NAMESPACE) for kind, namespace, _ in keys)


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_every_pod_is_restricted_bounded_and_probed(values: dict[str, Any]) -> None:
    for workload in render(values):
        if workload["kind"] not in ("Deployment", "StatefulSet"):
            continue
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["topologySpreadConstraints"]
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["memory"]
            assert container["readinessProbe"] and container["livenessProbe"]


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_no_right_is_a_wildcard_and_each_goes_to_one_service_account(values: dict[str, Any]) -> None:
    manifests = render(values)
    rules = [rule for each in manifests for rule in each.get("rules") or ()]
    assert rules and not any("*" in entry for rule in rules for entries in rule.values() for entry in entries)
    accounts = {each["metadata"]["name"] for each in manifests if each["kind"] == "ServiceAccount"}
    for binding in manifests:
        if binding["kind"].endswith("RoleBinding"):
            (subject,) = binding["subjects"]
            assert subject["name"] in accounts and subject["namespace"] == "cloudbase-system"
            assert binding["roleRef"]["name"] in {each["metadata"]["name"] for each in manifests if each["kind"].endswith("Role")}


def test_with_a_list_of_namespaces_nothing_is_allowed_outside_them() -> None:
    manifests = render(SETS["two namespaces"])
    bound = [each["metadata"]["name"] for each in manifests if each["kind"] == "ClusterRoleBinding"]
    assert all(name.endswith("-cluster") for name in bound)  # what has no namespace, as who calls and what they may do
    places = {each["metadata"]["namespace"] for each in manifests if each["kind"] == "Role"}
    assert places == {"team-a", "team-b", "cloudbase-system"}
    assert not [rule for each in manifests for rule in each.get("rules", ()) if "namespaces" in rule["resources"]]


def test_every_variable_of_the_router_is_one_that_it_reads() -> None:
    known = {f"ROUTER_{one.name.upper()}" for one in fields(Settings)}
    known |= {f"ROUTER_KUBE_{one.name.upper()}" for one in fields(KubeSettings)}
    for values in SETS.values():
        router = next(
            each for each in render(values) if each["kind"] == "Deployment" and each["metadata"]["name"].endswith("-router")
        )
        (container,) = router["spec"]["template"]["spec"]["containers"]
        names = [one["name"] for one in container["env"] if one["name"].startswith("ROUTER_")]
        assert len(names) == len(set(names))
        assert set(names) <= known


def test_the_schema_takes_each_setting_of_the_data_plane_that_the_chart_does_not_set_itself() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    taken = schema["properties"]["router"]["properties"]["settings"]["properties"]
    ours = {"listen", "drain_delay", "drain_grace", "tls_certificate", "tls_key"}
    assert {re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name) for name in taken} == {
        one.name for one in fields(Settings)
    } - ours
    for one in fields(Settings):
        camel = re.sub("_(.)", lambda found: found[1].upper(), one.name)
        if camel in taken and "minimum" in taken[camel]:
            assert taken[camel]["minimum"] == one.metadata["least"]


def test_a_release_of_another_name_shares_no_name_with_the_first() -> None:
    def names(release: str) -> set[tuple[str, str]]:
        return {(each["kind"], each["metadata"]["name"]) for each in render(release=release) if each["kind"] != "Namespace"}

    assert not names("cloudbase") & names("other")


def test_a_router_s_lease_is_the_one_that_its_role_names() -> None:
    manifests = render(release="other")
    router = only(manifests, "Deployment", "other-cloudbase-router")
    env = {one["name"]: one.get("value") for one in router["spec"]["template"]["spec"]["containers"][0]["env"]}
    named = [
        rule["resourceNames"] for rule in only(manifests, "Role", "other-cloudbase-router")["rules"] if "resourceNames" in rule
    ]
    assert [env["ROUTER_KUBE_LEASE"]] in named


def test_what_is_shut_down_has_the_time_that_it_is_given() -> None:
    router = only(render({"router": {"drain": {"delay": 0.5, "grace": 40.5}}}), "Deployment", "cloudbase-router")
    assert router["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 1 + 41 + 10


def test_several_routers_share_one_redis_and_one_has_none() -> None:
    def variable(values: dict[str, Any]) -> dict[str, Any] | None:
        router = only(render(values), "Deployment", "cloudbase-router")
        env = router["spec"]["template"]["spec"]["containers"][0]["env"]
        return next((one for one in env if one["name"] == "ROUTER_KUBE_REDIS"), None)

    assert variable({}) is None
    assert not [each for each in render() if each["metadata"]["name"].endswith("-redis")]
    own = variable({"router": {"replicas": 2}})
    assert own is not None and own["valueFrom"] == {"secretKeyRef": {"name": "cloudbase-redis", "key": "url"}}
    other = {"router": {"replicas": 2}, "redis": {"urlSecret": {"name": "shared", "key": "address"}}}
    theirs = variable(other)
    assert theirs is not None and theirs["valueFrom"] == {"secretKeyRef": {"name": "shared", "key": "address"}}
    assert not [each for each in render(other) if each["metadata"]["name"].endswith("-redis")]


def test_the_password_of_the_chart_s_redis_is_the_one_in_its_url() -> None:
    secret = only(render({"router": {"replicas": 2}}), "Secret", "cloudbase-redis")["stringData"]
    assert len(secret["password"]) == 32
    assert secret["url"] == f"redis://:{secret['password']}@cloudbase-redis.cloudbase-system.svc:6379/0"
    assert f"requirepass {secret['password']}\n" in secret["redis.conf"]
