"""Scenarios: thresholds from a file, outcomes from what locust wrote, and what has changed between two runs."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest

from loadtest.scenarios import distributed, pods
from loadtest.scenarios.locusts import HERE
from loadtest.scenarios.outcome import Outcome, Taken, changes, compared, outcome
from loadtest.scenarios.peers import configuration
from loadtest.scenarios.play import SCENARIOS
from loadtest.scenarios.thresholds import CLUSTER, FILE, BadThresholds, Threshold, claims, doubtful, read
from loadtest.verdict import verdict

USERS = HERE / "users"

STATS = """Type,Name,Request Count,Failure Count
GET,cold,7,0
GET,not cold,3,1
,Aggregated,10,1
"""
EXACT = json.dumps({"cold": [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0], "not cold": [1.0, 1.0]})
GOOD = Outcome(scenario="warm", requests=100, failures=0, seconds=10, p50=1, p95=2, p99=6, worst=9, peer={"nginx p99": 3.0})
ASKED = Threshold(about="", users=1, seconds=10, failures=0, p99_of_nginx=3.0)


FILES = (FILE, CLUSTER)


def whole(path: Path = FILE, short: bool = False) -> dict[str, Threshold]:
    return read(path, short, SCENARIOS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_scenario_has_a_section_and_a_locustfile_and_every_section_a_scenario(path: Path) -> None:
    assert set(whole(path)) == set(SCENARIOS)
    assert {path.stem for path in USERS.glob("*.py")} - {"_exact"} == set(SCENARIOS)


def test_a_master_is_told_of_each_scenario_s_users() -> None:
    for name, classes in distributed.USERS.items():
        tree = ast.parse((USERS / f"{name}.py").read_text())
        assert tuple(node.name for node in tree.body if isinstance(node, ast.ClassDef)) == classes
    assert set(distributed.USERS) == set(SCENARIOS)
    every = [one for classes in distributed.USERS.values() for one in classes]
    assert len(every) == len(set(every))  # one locust has them all


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_failure_is_ever_allowed_and_the_bounds_are_no_looser_than_promised(path: Path) -> None:
    for short in (False, True):
        found = whole(path, short)
        assert all(threshold.failures == 0 for threshold in found.values())
        assert 0 < (found["warm"].p99_of_nginx or 99) <= 3
        assert 0 < (found["cold"].p95_of_bare or 99) <= 1.5
        assert found["cold"].least_requests >= 4


def test_short_replaces_what_it_names() -> None:
    long, short = whole()["warm"], whole(short=True)["warm"]
    assert short.seconds < long.seconds and short.users == long.users


GOOD_SECTION = "[warm]\nabout = ''\nusers = 3\nseconds = 1\nfailures = 0\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[warm", "Expected ']'"),
        ("", "names no scenario"),
        ("warm = 3\n", r"\[warm\]: Expected `object`"),
        ("[warm]\nusers = 3\n", r"\[warm\]: .*missing required field `about`"),
        (GOOD_SECTION.replace("3", "'many'"), r"\[warm\]: Expected `int`, got `str` - at `\$.users`"),
        (GOOD_SECTION.replace("3", "0"), r"\[warm\]: .*`int` >= 1 - at `\$.users`"),
        (GOOD_SECTION.replace("seconds = 1", "seconds = -1.0"), r"> 0.* - at `\$.seconds`"),
        (GOOD_SECTION.replace("[warm]", "[wram]"), "no scenario wram; there are warm, cold"),
        (GOOD_SECTION + "p99_mss = 3\n", "unknown field `p99_mss`"),
        (GOOD_SECTION + "p99_ms = inf\n", "p99_ms must be a number, was inf"),
        (GOOD_SECTION + "p99_of_nginx = nan\n", "p99_of_nginx"),
        (GOOD_SECTION + "short = { userz = 3 }\n", "unknown field `userz`"),
        (GOOD_SECTION + "short = { users = 2.5 }\n", "Expected `int`, got `float`"),
    ],
)
@pytest.mark.parametrize("short", [False, True])
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, text: str, reason: str, short: bool) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text(text)
    with pytest.raises(BadThresholds, match=rf"thresholds\.toml: .*{reason}"):
        whole(path, short)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(BadThresholds, match="No such file"):
        whole(Path("/nowhere/thresholds.toml"))


def test_only_what_counts_is_judged_by_its_time_but_every_failure_counts() -> None:
    found = outcome("cold", [Taken(STATS, EXACT, 20, [60.0, 50.0])], "cold")
    assert (found.requests, found.failures, found.p50, found.p95, found.worst) == (7, 1, 40.0, 70.0, 70.0)
    assert found.peer == {"bare p95": 60.0}
    everything = outcome("cold", [Taken(STATS, EXACT, 20)], "")
    assert (everything.requests, everything.rate, everything.p50, everything.peer) == (10, 0.5, 30.0, {})


def test_several_runs_are_one_outcome_over_all_that_was_measured() -> None:
    exact = json.dumps({"warm": [1.0] * 99, "nginx": [3.0]}), json.dumps({"warm": [2.0], "nginx": [5.0]})
    found = outcome("warm", [Taken(STATS, each, 20) for each in exact], "warm")
    assert (found.seconds, found.failures, found.p99, found.worst, found.peer) == (40, 2, 1.0, 2.0, {"nginx p99": 5.0})


def test_a_run_that_sent_nothing_is_no_run() -> None:
    with pytest.raises(ValueError, match="sent nothing"):
        outcome("cold", [Taken("Type,Name,Request Count,Failure Count\n", "{}", 20)], "")


@pytest.mark.parametrize(
    ("found", "again"),
    [
        (GOOD, False),
        (msgspec.structs.replace(GOOD, p99=9.1), True),
        (msgspec.structs.replace(GOOD, p99=9.1, failures=1), False),
        (msgspec.structs.replace(GOOD, p99=9.1, requests=0), False),
    ],
)
def test_only_times_are_measured_again(found: Outcome, again: bool) -> None:
    assert doubtful(ASKED, found) is again


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (GOOD, True),
        (msgspec.structs.replace(GOOD, failures=1), False),
        (msgspec.structs.replace(GOOD, requests=0), False),
        (msgspec.structs.replace(GOOD, p99=9.1), False),
        (msgspec.structs.replace(GOOD, p99=math.nan), False),
        (msgspec.structs.replace(GOOD, peer={}), False),
    ],
)
def test_a_threshold_is_kept_only_by_what_was_measured(found: Outcome, kept: bool) -> None:
    assert verdict(claims(ASKED, found)) is kept


def test_two_runs_are_compared_where_both_have_the_scenario() -> None:
    later = msgspec.structs.replace(GOOD, p99=12)
    told = changes({"warm": GOOD, "cold": GOOD}, {"warm": later, "spike": GOOD})
    assert {each.scenario for each in told} == {"warm"}
    assert ("warm", "p99 ms", 6, 12) in told
    assert compared(told).splitlines()[0] == "scenario,figure,before,after,change"
    assert "warm,p99 ms,6.000,12.000,+100%" in compared(told).splitlines()
    assert "warm,failures,0.000,0.000," in compared(told).splitlines()  # nothing to divide by


DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "sleepy-00001"},
    "spec": {
        "template": {
            "metadata": {"labels": {"cloudbase.dev/function": "sleepy"}},
            "spec": {
                "restartPolicy": "Always",
                "containers": [{"name": "function", "image": "sleepy:1", "ports": [{"containerPort": 8081, "protocol": "TCP"}]}],
            },
        }
    },
}


def test_a_bare_start_is_the_function_s_pod_that_nobody_else_takes_for_theirs() -> None:
    pod = pods.bare("loadtest-bare-1", DEPLOYMENT)
    assert pod["spec"]["containers"] == DEPLOYMENT["spec"]["template"]["spec"]["containers"]
    assert not any(name.startswith("cloudbase.dev/") for name in pod["metadata"]["labels"])
    assert pods.port(DEPLOYMENT) == 8081


def test_what_is_compared_with_in_a_cluster_is_valid_kubernetes() -> None:
    text = configuration(pods.FOLDER, "0.0.0.0:8080", "10.0.0.1:8080")
    assert "@" not in text and "server 10.0.0.1:8080;" in text
    for kind, manifest in (
        ("Pod", pods.bare("bare", DEPLOYMENT)), ("Pod", pods.nginx("nginx:1")), ("ConfigMap", pods.configured(text))
    ):  # fmt: skip
        kubernetes_validate.validate({"apiVersion": "v1", "kind": kind, **manifest}, "1.30", strict=True)
