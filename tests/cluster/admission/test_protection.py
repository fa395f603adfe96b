"""What a Function owns is not changed behind its back, whoever tries, and everything that has to change it still can.

No controller runs here: the API server judges alone, as it does when the controller is down.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.cluster.shared import kubectl as here
from tests.cluster.shared.kubectl import PATIENTLY, Refused, kubectl

pytestmark = pytest.mark.cluster

OWNED = {"app.kubernetes.io/managed-by": "cloudbase", "cloudbase.dev/function": "hello"}
RELEASE = "protecting"
ACCOUNT = f"system:serviceaccount:cloudbase-protecting:{RELEASE}-cloudbase-controller"
KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    """A namespace with an owned Deployment and Service and a free one of each, once the policy is in force."""
    rendered = here.CHART.render({}, "--namespace", "cloudbase-protecting", release=RELEASE)
    policies = [each for each in rendered if each["kind"] in KINDS]
    assert len(policies) == 2
    with here.namespace() as name, here.applied(policies):
        for labels, prefix in ((OWNED, "owned"), ({}, "free")):
            for each in (here.deployment(prefix, labels), here.service(prefix, labels)):
                kubectl("create", "-n", name, "-f", "-", document=each)
        in_force(name)
        yield name


def in_force(name: str) -> None:
    """Wait until the API server judges by the policy: it compiles it some time after it was stored."""
    deadline = time.monotonic() + here.PATIENCE
    while time.monotonic() < deadline:
        try:
            kubectl("label", "service", "owned", "-n", name, f"try={time.monotonic_ns()}", "--overwrite")
        except Refused as refused:
            if "belongs to the function hello" in str(refused):
                return
        time.sleep(0.2)
    raise AssertionError("the policy is not in force")


CHANGES = {
    "delete a Deployment": ("delete", "deployment", "owned"),
    "delete a Service": ("delete", "service", "owned"),
    "delete all Deployments": ("delete", "deployments", "-l", "cloudbase.dev/function=hello"),
    "another image": ("set", "image", "deployment/owned", "pause=busybox:stable"),
    "restart a rollout": ("rollout", "restart", "deployment/owned"),
    "another port": ("patch", "service", "owned", "--type=merge", "-p", '{"spec":{"selector":{"app":"other"}}}'),
    "take the label away": ("label", "deployment", "owned", "app.kubernetes.io/managed-by-"),
    "give it to another function": ("label", "deployment", "owned", "cloudbase.dev/function=other", "--overwrite"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_by_hand_is_refused_with_the_way_to_do_it_right(place: str, change: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as refused:
        kubectl(*change, "-n", place)
    words = str(refused.value)
    assert "owned belongs to the function hello, and would be put back as it was" in words
    assert f"kubectl edit function hello -n {place}" in words and f"kubectl delete function hello -n {place}" in words
    assert "cloudbase.dev/unprotected=true" in words


@pytest.mark.parametrize(
    "who",
    [
        ACCOUNT,
        "system:serviceaccount:kube-system:deployment-controller",
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:kube-controller-manager",
    ],
)
def test_the_platform_and_the_cluster_s_own_controllers_may_change_it(place: str, who: str) -> None:
    as_who = ("--as", who, "--as-group", "system:masters", "-n", place)
    kubectl("label", "deployment", "owned", f"try={time.monotonic_ns()}", "--overwrite", *as_who)
    kubectl("label", "service", "owned", f"try={time.monotonic_ns()}", "--overwrite", *as_who)


def test_a_node_may_change_it_and_a_service_account_of_the_same_name_elsewhere_may_not(place: str) -> None:
    label = ("label", "service", "owned", "--overwrite", "-n", place)
    kubectl(*label, "who=node", "--as", "system:node:n", "--as-group", "system:nodes", "--as-group", "system:masters")
    with pytest.raises(Refused, match="belongs to the function hello"):
        kubectl(
            *label, "who=stranger", "--as", ACCOUNT.replace("cloudbase-protecting:", "elsewhere:"), "--as-group", "system:masters"
        )


def test_scale_and_status_are_nobody_s_to_forbid_and_a_rollout_ends(place: str) -> None:
    kubectl("scale", "deployment", "owned", "--replicas=2", "-n", place)
    condition = {
        "type": "Tried",
        "status": "True",
        "reason": "Tried",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = json.dumps({"status": {"conditions": [condition]}})
    kubectl("patch", "service", "owned", "--subresource=status", "--type=merge", "-p", status, "-n", place)
    kubectl("rollout", "status", "deployment/owned", "-n", place, *PATIENTLY)


def test_what_is_not_owned_is_created_changed_and_deleted_as_ever(place: str) -> None:
    kubectl("set", "image", "deployment/free", f"pause={here.IMAGE}", "-n", place)
    kubectl("label", "service", "free", "a=b", "-n", place)
    for kind in ("deployment", "service"):
        kubectl("delete", kind, "free", "-n", place, "--wait=false")


def test_an_annotation_allows_it(place: str) -> None:
    for each in (here.deployment("spare", OWNED, 0), here.service("spare", OWNED)):
        kubectl("create", "-n", place, "-f", "-", document=each)
    for kind in ("deployment", "service"):
        with pytest.raises(Refused, match="belongs to the function hello"):
            kubectl("delete", kind, "spare", "-n", place)
        kubectl("annotate", kind, "spare", "cloudbase.dev/unprotected=true", "-n", place)
        kubectl("label", kind, "spare", "a=b", "-n", place)
        kubectl("delete", kind, "spare", "-n", place)


def test_what_an_owner_takes_along_and_a_namespace_that_ends_are_not_held_up(place: str) -> None:
    with here.namespace("ending") as other:
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}
        kubectl("create", "-n", other, "-f", "-", document=owner)
        uid = here.read("configmap", "owner", "-n", other)["metadata"]["uid"]
        child = here.service("child", OWNED)
        child["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]
        kubectl("create", "-n", other, "-f", "-", document=child)
        kubectl("delete", "configmap", "owner", "-n", other)
        kubectl("wait", "service/child", "--for=delete", "-n", other, *PATIENTLY)
        kubectl("create", "-n", other, "-f", "-", document=here.service("left", OWNED))
        kubectl("delete", "namespace", other, *PATIENTLY)
