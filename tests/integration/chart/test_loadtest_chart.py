"""The load tests' chart: helm accepts it, what it renders is valid Kubernetes, and workers find their master."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.shared.helm import ROOT, Refused, only, run

pytestmark = pytest.mark.timeout(400)  # the first one fetches helm where there is none
CHART = ROOT / "helm" / "loadtest"
SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "everything set": {
        "image": {"repository": "registry.example.com/loadtest", "digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"]},
        "host": "https://functions.example.com",
        "master": {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "dedicated", "operator": "Exists"}]},
        "workers": {"replicas": 20, "nodeSelector": {"load": "yes"}, "resources": {"limits": {"memory": "1Gi"}}},
        "service": {"type": "NodePort", "port": 80},
    },
}


def render(values: dict[str, Any], release: str = "loadtest") -> list[dict[str, Any]]:
    text = run("template", release, str(CHART), "--namespace", "shop", values=values)
    return [each for each in yaml.safe_load_all(text) if each]


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_everything_that_it_renders_is_valid_kubernetes_and_restricted(values: dict[str, Any]) -> None:
    assert "0 chart(s) failed" in run("lint", "--strict", str(CHART), values=values)
    manifests = render(values)
    for manifest in manifests:
        assert manifest["metadata"]["namespace"] == "shop"
        for version in ("1.30", "1.36"):
            kubernetes_validate.validate(manifest, version, strict=True)
    pods = [each["spec"]["template"]["spec"] for each in manifests if each["kind"] == "Deployment"]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["limits"]["memory"]
    assert len(pods) == 2


@pytest.mark.parametrize("release", ["loadtest", "again"])
def test_workers_call_their_release_s_master(release: str) -> None:
    manifests = render({}, release)
    name = release if release == "loadtest" else f"{release}-loadtest"
    worker = only(manifests, "Deployment", f"{name}-worker")["spec"]["template"]["spec"]["containers"][0]
    service = only(manifests, "Service", worker["args"][worker["args"].index("--master-host") + 1])
    master = only(manifests, "Deployment", f"{name}-master")
    labels = master["spec"]["template"]["metadata"]["labels"]
    for each in (service, only(manifests, "Service", name)):
        assert each["spec"]["selector"].items() <= labels.items()
        ports = {port["name"]: port["containerPort"] for port in master["spec"]["template"]["spec"]["containers"][0]["ports"]}
        assert all(port["targetPort"] in ports for port in each["spec"]["ports"])
    assert service["spec"]["publishNotReadyAddresses"]


@pytest.mark.parametrize(
    "values",
    [
        {"workers": {"replicas": 0}},
        {"workers": {"replica": 3}},
        {"host": "cloudbase-router"},
        {"host": "http://router/fn/"},
        {"image": {"digest": "sha256:abc"}},
        {"service": {"type": "ExternalName"}},
        {"web": {}},
        {"stopTimeout": 0},
    ],
)
def test_values_that_cannot_work_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        render(values)


def test_the_image_has_the_users_and_is_built_from_their_folder() -> None:
    dockerfile = (ROOT / "images/loadtest/Dockerfile").read_text()
    context = ROOT / "loadtest/scenarios"
    for source in re.findall(r"^COPY (\S+) ", dockerfile, re.MULTILINE):
        assert (context / source).exists()
    assert "COPY users/ /users/" in dockerfile and 'ENTRYPOINT ["locust", "-f", "/users"]' in dockerfile
    assert "USER 65532:65532" in dockerfile and "ARG BASE" in dockerfile
