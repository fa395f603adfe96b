"""The chart: helm accepts it, what it renders is valid Kubernetes, and it says what the code needs said."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import kubernetes_validate
import pytest
import yaml

from controller.kube.build.settings import BuildSettings
from controller.kube.settings import Settings as ControllerSettings
from controller.kube.settings import load as controller_settings
from controller.kube.settings import load_builds as builds_settings
from router.kube.settings import KubeSettings
from router.settings import Settings
from tests.shared.helm import CHART, Refused, only, render, run

pytestmark = pytest.mark.timeout(400)  # the first one fetches helm where there is none
VERSIONS = ("1.30", "1.36")  # of Kubernetes: the oldest and the newest that it is for
OTHERS = {"gateway.networking.k8s.io", "monitoring.coreos.com"}  # whose schemas are not Kubernetes' own
SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "two namespaces": {"namespaces": ["team-a", "team-b"]},
    "no controller": {"controller": {"enabled": False}},
    "builds": {
        "controller": {
            "replicas": 2,
            "url": "https://functions.example.com",
            "settings": {"builds": 2, "keptRevisions": 5, "pullSecrets": ["registry"]},
        },
        "registry": {"address": "registry.example.com:5000/functions", "secret": "registry", "insecure": True},
        "builds": {
            "namespace": "images",
            "settings": {
                "registryMap": {"index.docker.io": "mirror.example.com"},
                "deadline": 1200,
                "executorArguments": ["--verbosity=debug"],
                "npmRegistry": "https://npm.example.com/",
                "cache": False,
            },
        },
    },
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
    "as many routers as are needed": {
        "router": {"autoscaling": {"enabled": True, "min": 3, "max": 12, "cpu": 60}},
        "controller": {"replicas": 2},
    },
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
    wide = ("Cluster", "Namespace", "Validating", "Mutating")
    assert all(bool(namespace) != kind.startswith(wide) for kind, namespace, _ in keys)


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_every_pod_is_restricted_bounded_and_probed(values: dict[str, Any]) -> None:
    for workload in render(values):
        if workload["kind"] not in ("Deployment", "StatefulSet", "Job"):
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
            assert workload["kind"] == "Job" or (container["readinessProbe"] and container["livenessProbe"])


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


def variables(values: dict[str, Any], component: str) -> dict[str, Any]:
    """The environment of a part's container."""
    (found,) = [
        each["spec"]["template"]["spec"]["containers"][0]
        for each in render(values)
        if each["kind"] == "Deployment" and each["metadata"]["labels"]["app.kubernetes.io/component"] == component
    ]
    names = [one["name"] for one in found["env"]]
    assert len(names) == len(set(names))
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in found["env"]}


def names_of(prefix: str, kind: Any) -> set[str]:
    return {f"{prefix}_{one.name.upper()}" for one in fields(kind)}


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_every_variable_is_one_that_the_process_reads(values: dict[str, Any]) -> None:
    given = {name for name in variables(values, "router") if name.startswith("ROUTER_")}
    assert given <= names_of("ROUTER", Settings) | names_of("ROUTER_KUBE", KubeSettings)
    if values.get("controller", {}).get("enabled", True):
        told = {name: value for name, value in variables(values, "controller").items() if name.startswith("CONTROLLER_")}
        assert set(told) <= names_of("CONTROLLER", ControllerSettings) | names_of("CONTROLLER_BUILD", BuildSettings)
        texts = {name: value for name, value in told.items() if isinstance(value, str)}
        controller_settings({}, texts)
        builds = builds_settings({}, texts)
        assert (builds is not None) == bool(values.get("registry", {}).get("address"))


def test_settings_of_builds_arrive_as_they_were_given() -> None:
    told = {name: value for name, value in variables(SETS["builds"], "controller").items() if isinstance(value, str)}
    builds = builds_settings({}, told)
    assert builds is not None
    assert (builds.registry, builds.namespace, builds.registry_secret) == (
        "registry.example.com:5000/functions",
        "images",
        "registry",
    )
    assert (builds.registry_map, builds.executor_arguments) == ({"index.docker.io": "mirror.example.com"}, ("--verbosity=debug",))
    assert (builds.deadline, builds.cache, builds.insecure) == (1200.0, False, True)
    assert builds.handover == "http://cloudbase-controller.cloudbase-system.svc.cluster.local:8081"


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)


@pytest.mark.parametrize(
    ("part", "kind", "ours"),
    [
        ("router", Settings, {"listen", "drain_delay", "drain_grace", "tls_certificate", "tls_key"}),
        (
            "controller", ControllerSettings,
            {
                "kube_config", "kube_context", "namespaces", "url", "lease_namespace", "lease", "identity", "admin",
                "webhooks", "webhooks_service", "webhooks_names", "webhooks_configuration", "drain_delay",
            },
        ),
        (
            "builds", BuildSettings,
            {"registry", "pull_registry", "insecure", "registry_ca", "registry_secret", "namespace"},
        ),
    ],
)  # fmt: skip
def test_the_schema_takes_each_setting_that_the_chart_does_not_set_itself(part: str, kind: Any, ours: set[str]) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    taken = schema["properties"][part]["properties"]["settings"]["properties"]
    assert {snake(name) for name in taken} == {one.name for one in fields(kind)} - ours
    if part == "router":
        least = {one.name: one.metadata["least"] for one in fields(Settings)}
        assert all(each["minimum"] == least[snake(name)] for name, each in taken.items() if "minimum" in each)


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
    controller = only(render({"controller": {"drain": {"delay": 40.5}}}), "Deployment", "cloudbase-controller")
    assert controller["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 41 + 30


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


def test_an_autoscaler_of_routers_has_the_number_of_them_to_itself_and_they_share_a_redis() -> None:
    manifests = render(SETS["as many routers as are needed"])
    router, scaler = (only(manifests, kind, "cloudbase-router") for kind in ("Deployment", "HorizontalPodAutoscaler"))
    assert "replicas" not in router["spec"]
    env = {one["name"] for one in router["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert "ROUTER_KUBE_REDIS" in env and only(manifests, "Deployment", "cloudbase-redis")
    assert only(manifests, "PodDisruptionBudget", "cloudbase-router")
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 12)
    assert not [each for each in render() if each["kind"] == "HorizontalPodAutoscaler"]
    with pytest.raises(Refused, match=r"router\.autoscaling\.min is 9, above max, which is 4"):
        render({"router": {"autoscaling": {"enabled": True, "min": 9, "max": 4}}})


def test_what_runs_at_the_end_of_an_uninstallation_is_made_for_it_and_goes_with_it() -> None:
    manifests = render(release="other")
    hooks = [each for each in manifests if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    assert {each["kind"] for each in hooks} == {
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Job",
    }
    for each in hooks:
        assert each["metadata"]["annotations"]["helm.sh/hook"] == "post-delete"
        assert each["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        assert each["metadata"]["labels"]["app.kubernetes.io/component"] == "farewell"
    (container,) = only(manifests, "Job", "other-cloudbase-farewell")["spec"]["template"]["spec"]["containers"]
    deletes = [rule["resourceNames"] for rule in only(manifests, "Role", "other-cloudbase-farewell")["rules"]]
    told = [each.partition("=")[2] for each in container["args"] if each.startswith(("--lease=", "--secret="))]
    assert told == [name for names in deletes for name in names]
    router, controller = variables({}, "router"), variables({}, "controller")
    made = [router["ROUTER_KUBE_LEASE"], controller["CONTROLLER_LEASE"], controller["CONTROLLER_WEBHOOKS_SERVICE"]]
    assert told == [name.replace("cloudbase-", "other-cloudbase-") for name in made]


def test_the_password_of_the_chart_s_redis_is_the_one_in_its_url() -> None:
    secret = only(render({"router": {"replicas": 2}}), "Secret", "cloudbase-redis")["stringData"]
    assert len(secret["password"]) == 32
    assert secret["url"] == f"redis://:{secret['password']}@cloudbase-redis.cloudbase-system.svc:6379/0"
    assert f"requirepass {secret['password']}\n" in secret["redis.conf"]
