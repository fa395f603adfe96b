"""What `cloudbase adopt` changes, and that `--undo` takes back exactly that."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from cloudbase.adoption import Plan, Wishes, adopt, undo
from cloudbase.errors import Misused
from router.kube.annotations import describe

PROBE = {"httpGet": {"path": "/ready", "port": "web"}, "periodSeconds": 5, "timeoutSeconds": 2}
HPA = {"metadata": {"name": "hpa"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "hello"}}}


def deployment(**container: Any) -> dict[str, Any]:
    one = {
        "name": "program",
        "image": "x",
        "ports": [{"name": "web", "containerPort": 8080}],
        "readinessProbe": PROBE,
        **container,
    }
    spec = {"containers": [{"name": "sidecar", "image": "y"}, one], "terminationGracePeriodSeconds": 30}
    template = {"metadata": {"labels": {"app": "hello", "tier": "web"}}, "spec": spec}
    return {"metadata": {"name": "hello", "resourceVersion": "7"}, "spec": {"replicas": 2, "template": template}}


def service(name: str = "hello", **spec: Any) -> dict[str, Any]:
    usual = {"selector": {"app": "hello"}, "ports": [{"port": 80, "targetPort": "web", "protocol": "TCP"}]}
    return {"metadata": {"name": name, "labels": {"own": "1"}}, "spec": {**usual, **spec}}


def merged(live: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def carried_out(plan: Plan, what: dict[str, Any], front: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    for change in plan.changes:
        if change.kind == "service":
            front = merged(front, change.patch)
        elif change.kind == "deployment":
            what = merged(what, change.patch)
        elif change.kind == "scale":
            what = merged(what, {"spec": change.patch})
    return what, front


def test_an_adopted_service_is_a_route_that_scales_its_deployment_with_the_pods_own_probe() -> None:
    plan = adopt(deployment(), [service(), service("other", selector={"app": "other"})], [], Wishes(to_zero=True))
    _, front = carried_out(plan, deployment(), service())
    assert front["metadata"]["labels"] == {"own": "1", "cloudbase.dev/route": "hello"}
    own = front["metadata"]["annotations"]
    assert own["cloudbase.dev/deployment"] == "hello"
    described, faults = describe({key: value for key, value in own.items() if key != "cloudbase.dev/adopted"}, "hello", None)
    assert faults == () and described.policy is not None and described.policy.minimum == 0
    assert described.probe is not None
    assert (described.probe.kind, described.probe.port, described.probe.path, described.probe.timeout) == (
        "http",
        8080,
        "/ready",
        2.0,
    )


def test_without_to_zero_one_replica_is_kept_and_the_way_past_the_router_is_told() -> None:
    plan = adopt(deployment(), [service()], [], Wishes())
    assert plan.changes[0].patch["metadata"]["annotations"]["cloudbase.dev/scale-min"] == "1"
    assert any("go past the router" in warning for warning in plan.warnings)


def test_adopting_again_changes_nothing_and_another_wish_only_what_differs() -> None:
    what, front = carried_out(adopt(deployment(), [service()], [], Wishes()), deployment(), service())
    assert adopt(what, [front], [], Wishes()).changes == []
    more = adopt(what, [front], [], Wishes(to_zero=True)).changes
    assert [set(change.patch["metadata"]["annotations"]) for change in more] == [
        {"cloudbase.dev/scale-min", "cloudbase.dev/adopted"}
    ]


@pytest.mark.parametrize("wishes", [Wishes(), Wishes(to_zero=True, drain=5, port="80", name="greet")])
def test_undo_leaves_both_as_they_were(wishes: Wishes) -> None:
    before = service()
    before["metadata"]["annotations"] = {"cloudbase.dev/scale-min": "3", "mine": "x"}
    start = deployment(lifecycle={"postStart": {"exec": {"command": ["true"]}}})
    what, front = carried_out(adopt(start, [before], [], wishes), copy.deepcopy(start), copy.deepcopy(before))
    what, front = carried_out(adopt(what, [front], [], Wishes(to_zero=not wishes.to_zero)), what, front)
    what, front = carried_out(undo(what, [front, service("other")]), what, front)
    assert front == before
    if not what["metadata"].get("annotations", True):
        del what["metadata"]["annotations"]
    assert what == start


@pytest.mark.parametrize(("before", "now", "then"), [(2, 0, 2), (3, 1, 3), (2, 4, 4), (1, 0, 1), (0, 0, 1)])
def test_undo_brings_back_as_many_replicas_as_there_were_and_one_at_least(before: int, now: int, then: int) -> None:
    start = merged(deployment(), {"spec": {"replicas": before}})
    what, front = carried_out(adopt(start, [service()], [], Wishes(to_zero=True)), start, service())
    what["spec"]["replicas"] = now
    what, front = carried_out(adopt(what, [front], [], Wishes()), what, front)  # what there is then is the router's doing
    what, _ = carried_out(undo(what, [front]), what, front)
    assert what["spec"]["replicas"] == then


def test_undo_leaves_the_number_to_who_else_scales_it_but_wakes_what_sleeps() -> None:
    what, front = carried_out(adopt(deployment(), [service()], [HPA], Wishes()), deployment(), service())
    for now, scaled in ((1, []), (0, [{"replicas": 1}])):
        what["spec"]["replicas"] = now
        assert [change.patch for change in undo(what, [front]).changes if change.kind == "scale"] == scaled


def test_undo_wakes_what_was_adopted_before_the_number_was_written_down() -> None:
    what, front = carried_out(adopt(deployment(), [service()], [], Wishes(to_zero=True)), deployment(), service())
    written = json.loads(front["metadata"]["annotations"]["cloudbase.dev/adopted"])
    del written["replicas"]
    front["metadata"]["annotations"]["cloudbase.dev/adopted"] = json.dumps(written)
    what["spec"]["replicas"] = 0
    what, _ = carried_out(undo(what, [front]), what, front)
    assert what["spec"]["replicas"] == 1


def test_undo_of_what_was_not_adopted_is_refused() -> None:
    with pytest.raises(Misused, match="was not adopted"):
        undo(deployment(), [service()])


def test_drain_is_a_native_sleep_before_the_containers_end_and_leaves_the_rest_of_it_alone() -> None:
    plan = adopt(deployment(), [service()], [], Wishes(drain=5))
    what, _ = carried_out(plan, deployment(), service())
    expected = deployment(lifecycle={"preStop": {"sleep": {"seconds": 5}}})
    assert what["spec"] == expected["spec"]
    assert plan.changes[1].patch["metadata"]["resourceVersion"] == "7"
    assert not any("preStop" in warning for warning in plan.warnings)


def test_without_drain_the_image_is_said_to_have_to_end_gracefully_itself() -> None:
    assert any("after SIGTERM" in warning for warning in adopt(deployment(), [service()], [], Wishes()).warnings)


def test_a_port_that_is_named_is_annotated_and_its_container_gives_the_probe() -> None:
    ports = [{"name": "a", "port": 1, "targetPort": 1}, {"name": "b", "port": 80, "targetPort": "web"}]
    plan = adopt(deployment(), [service(ports=ports)], [], Wishes(port="b"))
    own = plan.changes[0].patch["metadata"]["annotations"]
    assert own["cloudbase.dev/port"] == "b"
    assert json.loads(own["cloudbase.dev/readiness-probe"])["httpGet"]["port"] == 8080


def test_a_program_without_a_probe_that_we_can_make_is_told_of() -> None:
    plan = adopt(deployment(readinessProbe={"exec": {"command": ["true"]}}), [service()], [], Wishes())
    assert "cloudbase.dev/readiness-probe" not in plan.changes[0].patch["metadata"]["annotations"]
    assert any("no readiness probe" in warning for warning in plan.warnings)


def test_an_autoscaler_goes_on_scaling_and_to_zero_beside_it_is_refused() -> None:
    plan = adopt(deployment(), [service()], [HPA], Wishes())
    assert plan.changes[0].patch["metadata"]["annotations"]["cloudbase.dev/scaling"] == "external"
    with pytest.raises(Misused, match="HorizontalPodAutoscaler 'hpa'"):
        adopt(deployment(), [service()], [HPA], Wishes(to_zero=True))


def test_what_an_earlier_adoption_had_a_reason_for_is_given_back_when_that_is_gone() -> None:
    """An autoscaler that was deleted, a probe that was removed, a port that is not named any more."""
    what, front = carried_out(adopt(deployment(), [service()], [HPA], Wishes(port="80")), deployment(), service())
    bare = merged(
        what,
        {"spec": {"template": {"spec": {"containers": deployment(readinessProbe={})["spec"]["template"]["spec"]["containers"]}}}},
    )
    again = adopt(bare, [front], [], Wishes(to_zero=True))
    _, later = carried_out(again, bare, front)
    own = later["metadata"]["annotations"]
    assert not {"cloudbase.dev/scaling", "cloudbase.dev/port", "cloudbase.dev/readiness-probe"} & own.keys()
    assert own["cloudbase.dev/scale-min"] == "0"
    assert "annotation cloudbase.dev/scaling removed" in again.changes[0].words
    assert adopt(bare, [later], [], Wishes(to_zero=True)).changes == []
    _, given_back = carried_out(undo(bare, [later]), bare, later)
    assert given_back["metadata"] == service()["metadata"] | {"annotations": {}}


def test_scaling_that_somebody_has_taken_over_by_hand_stays_and_is_told() -> None:
    front = service()
    front["metadata"]["annotations"] = {"cloudbase.dev/scaling": "external"}
    plan = adopt(deployment(), [front], [], Wishes(to_zero=True))
    _, later = carried_out(plan, deployment(), front)
    assert later["metadata"]["annotations"]["cloudbase.dev/scaling"] == "external"
    assert any("neither resizes nor wakes" in warning for warning in plan.warnings)


def test_a_name_that_another_service_has_is_refused() -> None:
    taken = service("older", selector={"app": "older"})
    taken["metadata"]["labels"]["cloudbase.dev/route"] = "hello"
    with pytest.raises(Misused, match="Service 'older' is the route 'hello' already"):
        adopt(deployment(), [service(), taken], [], Wishes())
    assert adopt(deployment(), [service(), taken], [], Wishes(name="another")).changes


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_was_written_down_and_somebody_changed_is_named(text: str) -> None:
    _, front = carried_out(adopt(deployment(), [service()], [], Wishes()), deployment(), service())
    front["metadata"]["annotations"]["cloudbase.dev/adopted"] = text
    for step in (lambda: undo(deployment(), [front]), lambda: adopt(deployment(), [front], [], Wishes(to_zero=True))):
        with pytest.raises(Misused, match=r"cloudbase\.dev/adopted is not what was written there"):
            step()


@pytest.mark.parametrize(
    ("services", "wishes", "words"),
    [
        ([], Wishes(), "no Service selects"),
        ([service("a", selector={"app": "x"})], Wishes(), "no Service selects"),
        ([service("a", selector=None)], Wishes(), "no Service selects"),
        ([service("a"), service("b")], Wishes(), "several Services select its pods: a, b"),
        ([service("a")], Wishes(service="b"), "there is no Service 'b'"),
        ([service("a", selector={"app": "x"})], Wishes(service="a"), "does not select the pods"),
        (
            [service(ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2}])],
            Wishes(),
            "has 2 TCP ports: a \\(1\\), b \\(2\\)",
        ),
        ([service(ports=[])], Wishes(), "has 0 TCP ports"),
        ([service()], Wishes(port="81"), "no TCP port '81'"),
        ([service(ports=[{"port": 80, "targetPort": "nope"}])], Wishes(), "no container has a port named 'nope'"),
        ([service()], Wishes(name="No"), "no DNS label"),
        ([service()], Wishes(drain=30), "leaves no time"),
    ],
)
def test_what_cannot_be_adopted_is_refused_with_the_reason(services: list[dict[str, Any]], wishes: Wishes, words: str) -> None:
    with pytest.raises(Misused, match=words):
        adopt(deployment(), services, [], wishes)


# --- interception ---

DIRECT = {
    "metadata": {"name": "hello-direct", "annotations": {"cloudbase.dev/direct-of": "hello"}},
    "spec": {"selector": {"app": "hello"}},
}


def kinds(plan: Plan) -> list[tuple[str, str]]:
    return [(change.kind, change.name) for change in plan.changes]


def test_interception_moves_the_selector_when_the_routers_are_there_and_clears_what_named_the_pods() -> None:
    plan = adopt(deployment(), [service()], [], Wishes(to_zero=True, intercept=True))
    assert kinds(plan) == [
        ("new service", "hello-direct"), ("service", "hello"), ("routers", "hello"), ("service", "hello"), ("clear", "hello"),
    ]  # fmt: skip
    made = plan.changes[0].patch
    assert made["spec"] == {"selector": {"app": "hello"}, "ports": [{"port": 80, "targetPort": "web", "protocol": "TCP"}]}
    assert made["metadata"]["annotations"]["cloudbase.dev/deployment"] == "hello"
    before = merged(service(), plan.changes[1].patch)
    assert before["spec"]["selector"] == {"app": "hello"}
    assert before["metadata"]["annotations"]["cloudbase.dev/intercept"] == "joining"
    _, front = carried_out(plan, deployment(), service())
    assert "selector" not in front["spec"]
    described, faults = describe(front["metadata"]["annotations"], "hello", None)
    assert described.intercept == "true" and [share.service for share in described.shares] == ["hello-direct"] and faults == ()
    assert not any("go past the router" in warning for warning in plan.warnings)


def test_intercepting_again_goes_on_where_it_stopped() -> None:
    plan = adopt(deployment(), [service()], [], Wishes(intercept=True))
    joining = merged(service(), plan.changes[1].patch)
    again = adopt(deployment(), [joining, DIRECT], [], Wishes(intercept=True))
    assert kinds(again) == [("routers", "hello"), ("service", "hello"), ("clear", "hello")]
    _, front = carried_out(plan, deployment(), service())
    assert adopt(deployment(), [front, DIRECT], [], Wishes(intercept=True)).changes == []
    assert kinds(adopt(deployment(), [front, DIRECT], [], Wishes(intercept=True), ["hello"])) == [("clear", "hello")]
    assert adopt(deployment(), [front, DIRECT], [], Wishes()).changes == []  # it stays intercepted


def test_undo_of_an_interception_brings_the_pods_back_before_the_routers_go() -> None:
    start = adopt(deployment(), [service()], [], Wishes(to_zero=True, intercept=True))
    what, front = carried_out(start, deployment(), service())
    what["spec"]["replicas"] = 0
    plan = undo(what, [front, DIRECT])
    assert [kind for kind, _ in kinds(plan)] == ["service", "scale", "pods", "service", "release", "service", "gone service"]
    assert merged(front, plan.changes[0].patch)["spec"]["selector"] == {"app": "hello"}
    what, front = carried_out(plan, what, front)
    del front["metadata"]["annotations"]
    assert front == service() and what["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("front", "others", "words"),
    [
        (service(clusterIP="None"), [], "is headless"),
        (service(ports=[{"port": 80, "targetPort": "web", "appProtocol": "kubernetes.io/h2c"}]), [], "speaks kubernetes.io/h2c"),
        (service(ports=[{"name": "http", "port": 80, "targetPort": "web"}, {"name": "b", "port": 2}]), [], "has several ports"),
        (service(internalTrafficPolicy="Local"), [], "traffic policy Local"),
        (service("a" * 60), [], "too long a name"),
        (service(), [service("hello-direct", selector={"app": "x"})], "of somebody else"),
    ],
)
def test_what_cannot_be_intercepted_is_refused_with_the_reason(
    front: dict[str, Any], others: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(Misused, match=words):
        adopt(deployment(), [front, *others], [], Wishes(intercept=True))
