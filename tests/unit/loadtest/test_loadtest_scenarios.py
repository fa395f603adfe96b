"""Scenarios: thresholds from a file, outcomes from what locust wrote, and what has changed between two runs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import pytest

from loadtest.scenarios.outcome import Outcome, changes, outcome
from loadtest.scenarios.play import SCENARIOS
from loadtest.scenarios.thresholds import BadThresholds, Threshold, claims, read
from loadtest.verdict import verdict

STATS = """Type,Name,Request Count,Failure Count
GET,cold,7,0
GET,not cold,3,1
,Aggregated,10,1
"""
EXACT = json.dumps({"cold": [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0], "not cold": [1.0, 1.0]})
GOOD = Outcome(scenario="warm", requests=100, failures=0, seconds=10, p50=1, p95=2, p99=6, worst=9, peer={"nginx p99": 3.0})
ASKED = Threshold(about="", users=1, seconds=10, failures=0, p99_of_nginx=3.0)


def test_every_scenario_has_a_section_and_a_locustfile_and_every_section_a_scenario() -> None:
    assert set(read()) == set(SCENARIOS)
    users = Path(read.__code__.co_filename).parent / "users"
    assert {path.stem for path in users.glob("*.py")} - {"exact"} == set(SCENARIOS)


def test_no_failure_is_ever_allowed_and_the_bounds_are_no_looser_than_promised() -> None:
    for threshold in (*read().values(), *read(short=True).values()):
        assert threshold.failures == 0
    assert 0 < (read()["warm"].p99_of_nginx or 99) <= 3
    assert 0 < (read()["cold"].p95_of_bare or 99) <= 1.5


def test_short_replaces_what_it_names() -> None:
    whole, short = read()["warm"], read(short=True)["warm"]
    assert short.seconds < whole.seconds and short.users == whole.users


@pytest.mark.parametrize(
    "text", ["[warm", "[warm]\nusers = 3\n", "[warm]\nabout = ''\nusers = 'many'\nseconds = 1\nfailures = 0\n"]
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text(text)
    with pytest.raises(BadThresholds, match=r"thresholds\.toml: .+"):
        read(path)


def test_only_what_counts_is_judged_by_its_time_but_every_failure_counts() -> None:
    found = outcome("cold", STATS, EXACT, "cold", 20, {"bare p95": 60.0})
    assert (found.requests, found.failures, found.p50, found.p95, found.worst) == (7, 1, 40.0, 70.0, 70.0)
    everything = outcome("cold", STATS, EXACT, "", 20, {})
    assert (everything.requests, everything.rate, everything.p50) == (10, 0.5, 30.0)


def test_a_run_that_sent_nothing_is_no_run() -> None:
    with pytest.raises(ValueError, match="sent nothing"):
        outcome("cold", "Type,Name,Request Count,Failure Count\n", "{}", "", 20, {})


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
    assert {scenario for scenario, *_ in told} == {"warm"}
    assert ("warm", "p99 ms", 6, 12) in told
