"""Annotations of a route's Service as settings, policy, probe and backends."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.model import Policy
from router.kube.annotations import KEYS, POLICY, SETTINGS, describe
from router.kube.model import Described, Probe, Share
from router.model import Settings

GOOD = Described((Share("before"),), Settings(timeout=7.0), Policy(minimum=3), Probe("tcp", 1))


def said(**annotations: str) -> tuple[Described, list[str]]:
    described, faults = describe(
        {f"cloudbase.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}, "hello", None
    )
    return described, [fault.note for fault in faults]


def test_without_annotations_everything_is_the_default_and_the_backend_is_the_service_itself() -> None:
    assert said() == (Described((Share("hello"),), Settings(), Policy(), None), [])


def test_every_setting_and_every_part_of_the_policy_has_an_annotation() -> None:
    assert {known.field for known in SETTINGS} == {one.name for one in fields(Settings)}
    assert {known.field for known in POLICY} == {one.name for one in fields(Policy)}


def test_settings_policy_probe_and_backends_are_read() -> None:
    described, faults = said(
        timeout="2.5", queue_limit="7", sticky="cookie:who", upgrades="websocket, h2c", client_abort="fin", scale_min="1",
        scale_max="4", scale_metric="rps", scale_idle_grace="0", backends='[{"service": "a", "weight": 1}, {"service": "b"}]',
        readiness_probe='{"httpGet": {"path": "/r?x=1", "port": 9000, "httpHeaders": [{"name": "A", "value": "b"}]}}',
    )  # fmt: skip
    assert faults == []
    assert described == Described(
        (Share("a", 1), Share("b", 100)),
        Settings(timeout=2.5, queue_limit=7, sticky="cookie:who", upgrades=("websocket", "h2c"), client_abort="fin"),
        Policy(minimum=1, maximum=4, metric="rps", target=200.0, idle_grace=0.0),
        Probe("http", 9000, "/r?x=1", (("A", "b"),)),
    )


def test_the_usual_target_is_a_part_of_the_hard_limit_where_there_is_one() -> None:
    described, _ = said(concurrency="10")
    assert described.policy is not None and described.policy.target == 7.0


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("timeout", "soon", "must be a number, was 'soon'"),
        ("timeout", "0", "more than 0 seconds"),
        ("timeout", "-1", "at least 0 seconds"),
        ("timeout", "inf", "finite"),
        ("timeout", "nan", "finite"),
        ("concurrency", "1.5", "whole number"),
        ("concurrency", "٣", "whole number"),
        ("queue-limit", "-1", "whole number"),
        ("sticky", "cookie", "cookie:NAME"),
        ("client-abort", "yes", '"fin" or empty'),
        ("upgrades", "web socket/ß", "list protocols"),
        ("scale-min", "-1", "whole number"),
        ("scale-max", "0", "maximum must be at least 1"),
        ("scale-min", "1000", "maximum must be at least 1 and the minimum"),
        ("scale-metric", "cpu", "concurrency or rps"),
        ("scale-target", "0", "target must be above 0"),
        ("scale-panic-window", "100", "windows must be"),
        ("scaling", "hpa", '"router" or "external"'),
        ("backends", "a,b", "is not JSON"),
        ("backends", "[]", "must be a list"),
        ("backends", '["a"]', 'object with a "service"'),
        ("backends", '[{"service": "A_b"}]', "cannot be a Service's name"),
        ("backends", '[{"service": "a", "weight": -1}]', "weight must be a whole number"),
        ("backends", '[{"service": "a", "weight": true}]', "weight must be a whole number"),
        ("backends", '[{"service": "a"}, {"service": "a"}]', "twice"),
        ("backends", '[{"service": "a", "weight": 0}]', "no backend a weight above 0"),
        ("readiness-probe", "{}", "one of httpGet, tcpSocket and grpc"),
        ("readiness-probe", '{"httpGet": {"port": "web"}}', "port must be a number"),
        ("readiness-probe", '{"httpGet": {"path": "/a b"}}', "no request line"),
        ("readiness-probe", '{"httpGet": {"httpHeaders": [{"name": "a\\r\\nb", "value": ""}]}}', "no field"),
        ("readiness-probe", '{"tcpSocket": {}, "timeoutSeconds": 0}', "timeoutSeconds"),
    ],
)
def test_a_bad_value_is_told_with_its_annotation_and_what_held_before_goes_on(key: str, value: str, words: str) -> None:
    described, faults = describe({f"cloudbase.dev/{key}": value}, "hello", GOOD)
    assert len(faults) == 1 and faults[0].reason == "BadAnnotation"
    assert words in faults[0].note
    assert key in faults[0].note or "scale-*" in faults[0].note
    kept = {
        "backends": described.shares == GOOD.shares,
        "readiness-probe": described.probe == GOOD.probe,
        "scaling": described.policy == GOOD.policy,
    }
    assert kept.get(key, described.policy == GOOD.policy if key.startswith("scale-") else described.settings == GOOD.settings)


def test_a_bad_value_where_nothing_held_before_leaves_the_defaults_and_scales_nothing() -> None:
    described, _ = said(scale_min="x", timeout="x", backends="x")
    assert described == Described((Share("hello"),), Settings(), None, None)


def test_whoever_took_over_scaling_is_left_alone() -> None:
    assert said(scaling="external")[0].policy is None


def test_a_misspelt_annotation_is_told_with_the_right_one() -> None:
    assert said(scale_idel_grace="3")[1] == [
        "annotation cloudbase.dev/scale-idel-grace: there is none of this name; did you mean cloudbase.dev/scale-idle-grace?"
    ]
    assert said(function="hello")[1] == []


@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=40) | st.sampled_from(["1", "0", "-1", "{}", "[]", "null"])))
def test_whatever_annotations_say_there_is_a_description_and_a_fault_for_each_value_that_does_not_count(
    own: dict[str, str],
) -> None:
    described, faults = describe(own, "hello", GOOD)
    again, none = describe({}, "hello", described)
    assert none == () and again.shares == (Share("hello"),)
    assert all(fault.note.startswith("annotation cloudbase.dev/") for fault in faults)
    assert described.settings.timeout > 0 and any(share.weight for share in described.shares)
