"""Functions at the API server's door: what cannot work is refused, what is left out filled in, and nobody is held up for it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from controller.validate import judged
from tests.cluster.shared import kubectl as here
from tests.cluster.shared.kubectl import PATIENTLY, Refused, kubectl
from tests.cluster.shared.running import LABEL, NAME, Controller, function, running, until
from tests.shared.function_documents import BAD, GOOD, GOOD_SPEC, Bad

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with running(tmp_path_factory.mktemp("controller")) as one:
        yield one


@pytest.mark.parametrize("bad", BAD, ids=[bad.id for bad in BAD])
def test_what_cannot_work_is_refused_with_the_field_and_the_reason(controller: Controller, bad: Bad) -> None:
    with pytest.raises(Refused) as refused:
        kubectl("create", "-n", controller.namespace, "-f", "-", document=function(bad.name, bad.document))
    words = str(refused.value)
    if bad.by_schema:  # the API server itself knows its fields
        assert f'unknown field "spec.{bad.field}"' in words
    else:
        assert all(f"{error.field}: {error.message}" in words for error in judged(bad.name, bad.document))
        assert f"{bad.field}: " in words and bad.words in words


@pytest.mark.parametrize("name", GOOD)
def test_what_is_left_out_is_filled_in(controller: Controller, name: str) -> None:
    document = function(f"good-{name}", GOOD_SPEC | GOOD[name])
    kubectl("create", "-n", controller.namespace, "-f", "-", document=document)
    spec = here.read("function", f"good-{name}", "-n", controller.namespace)["spec"]
    given = GOOD_SPEC | GOOD[name]
    flat = {key: value for key, value in given.items() if not isinstance(value, dict)}
    assert flat.items() <= spec.items()
    for key in ("scaling", "resources"):
        assert given.get(key, {}).items() <= spec[key].items()
    assert set(spec["scaling"]) == {"min", "max", "initial", "metric", "target", "idleGrace"}
    assert set(spec["resources"]) == {"memory", "cpu"}
    assert {"type", "deploy", "timeout", "idleTimeout", "maxDuration", "drainTimeout", "concurrency"} <= set(spec)
    kubectl("delete", "function", f"good-{name}", "-n", controller.namespace, "--wait=false")


def test_an_update_is_judged_as_well_and_kubectl_edits_what_is_right(controller: Controller) -> None:
    where = ("-n", controller.namespace)
    kubectl("create", *where, "-f", "-", document=function("edited", {"image": "a:1", "scaling": {"initial": 0}}))
    with pytest.raises(Refused, match=r"scaling\.min: is 5, above scaling.max, which is 2"):
        kubectl("patch", "function", "edited", *where, "--type=merge", "-p", '{"spec":{"scaling":{"min":5,"max":2}}}')
    kubectl("patch", "function", "edited", *where, "--type=merge", "-p", '{"spec":{"scaling":{"max":2}}}')
    kubectl("label", "function", "edited", *where, "a=b")
    kubectl("delete", "function", "edited", *where, *PATIENTLY)


def test_a_name_that_is_served_elsewhere_is_refused_unless_the_namespace_has_a_project_of_its_own(controller: Controller) -> None:
    document = function("shared", {"image": "a:1", "scaling": {"initial": 0}})
    kubectl("create", "-n", controller.namespace, "-f", "-", document=document)
    with here.namespace("second", **{LABEL: "yes"}) as second:
        words = f"name: is taken: Function {controller.namespace}/shared answers at its address already"
        until(lambda: words in refusal(second, document))  # once the controller has heard of the other
        with pytest.raises(Refused, match=words):
            kubectl("create", "-n", second, "-f", "-", document=document)
        kubectl("label", "namespace", second, "cloudbase.dev/project=second")
        until(lambda: refusal(second, document) == "")
        kubectl("create", "-n", second, "-f", "-", document=document)
        service = here.service("adopted", {"cloudbase.dev/route": "adopted-name"})
        kubectl("create", "-n", controller.namespace, "-f", "-", document=service)
        other = function("adopted-name", {"image": "a:1"})
        words = f"Service {controller.namespace}/adopted answers at its address already"
        until(lambda: words in refusal(controller.namespace, other))
        kubectl("delete", "function", "shared", "-n", second, *PATIENTLY)
    kubectl("delete", "function", "shared", "-n", controller.namespace, *PATIENTLY)


def refusal(namespace: str, document: object) -> str:
    """What would be said to it."""
    try:
        kubectl("create", "--dry-run=server", "-n", namespace, "-f", "-", document=document)
    except Refused as error:
        return str(error)
    return ""


def test_certificates_that_are_lost_are_made_anew_without_a_restart(controller: Controller) -> None:
    where = ("-n", controller.namespace)
    before = here.read("secret", f"{NAME}-webhooks", *where)["data"]["tls.crt"]
    kubectl("delete", "secret", f"{NAME}-webhooks", *where)

    def made() -> bool:
        try:
            return bool(here.read("secret", f"{NAME}-webhooks", *where)["data"]["tls.crt"] != before)
        except Refused:
            return False

    until(made)

    def trusted() -> bool:
        bundle = here.read("validatingwebhookconfiguration", NAME)["webhooks"][0]["clientConfig"]["caBundle"]
        return base64.b64decode(bundle) == base64.b64decode(here.read("secret", f"{NAME}-webhooks", *where)["data"]["ca.crt"])

    until(trusted)
    until(lambda: "scaling.min" in refusal(controller.namespace, function("any", {"image": "a:1", "scaling": {"min": -1}})))


def test_without_the_controller_functions_are_refused_and_everything_else_goes_on_as_ever(controller: Controller) -> None:
    where = ("-n", controller.namespace)
    kubectl("create", *where, "-f", "-", document=function("left", {"image": "a:1", "scaling": {"initial": 0}}))
    kubectl("create", *where, "-f", "-", document=here.deployment("others", {}))
    until(lambda: here.read("function", "left", *where)["metadata"].get("finalizers"))  # or it would go without the controller
    controller.stop(hard=True)
    try:
        with pytest.raises(Refused, match="failed calling webhook"):
            kubectl("create", *where, "-f", "-", document=function("new", {"image": "a:1"}))
        pod = {"containers": [{"name": "pause", "image": here.IMAGE}], "terminationGracePeriodSeconds": 0}
        kubectl("create", *where, "-f", "-", document={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod})
        kubectl("create", *where, "-f", "-", document=here.service("s", {}))
        kubectl("create", *where, "-f", "-", document=here.deployment("d", {}))
        kubectl("delete", *where, "pod/p", "service/s", "deployment/d", *PATIENTLY)
        kubectl("set", "env", "deployment/others", "A=b", *where)  # a rollout
        kubectl("rollout", "status", "deployment/others", *where, *PATIENTLY)
        kubectl("autoscale", "deployment", "others", *where, "--min=2", "--max=3")  # an HPA: it has to get to its minimum
        until(lambda: here.read("deployment", "others", *where)["status"].get("readyReplicas") == 2)
        kubectl("scale", "function", "left", *where, "--replicas=1")
        kubectl("delete", "function", "left", *where, "--wait=false")
        gone = here.read("function", "left", *where)["metadata"]
        assert gone["deletionTimestamp"]
    finally:
        controller.start()
    kubectl("wait", "function/left", "--for=delete", *where, *PATIENTLY)


def test_a_namespace_with_functions_ends_though_the_controller_was_away_when_it_began(controller: Controller) -> None:
    with here.namespace("ending", **{LABEL: "yes"}) as other:
        kubectl("create", "-n", other, "-f", "-", document=function("inside", {"image": "a:1", "scaling": {"initial": 0}}))
        until(lambda: here.read("function", "inside", "-n", other)["metadata"].get("finalizers"))
        controller.stop()
        try:
            kubectl("delete", "namespace", other, "--wait=false")
            until(lambda: here.read("function", "inside", "-n", other)["metadata"].get("deletionTimestamp"))
        finally:
            controller.start()
        kubectl("wait", f"namespace/{other}", "--for=delete", *PATIENTLY)


def test_the_audit_log_of_the_door_is_readable(controller: Controller) -> None:
    """A refusal is a line of the controller's log with who, what and why."""
    refusal(controller.namespace, function("logged", {"image": "a:1", "timeout": -1}))
    until(lambda: "logged: CREATE by " in controller.log.read_text() and "timeout: must be from 0" in controller.log.read_text())
