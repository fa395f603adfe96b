"""The comparison's arithmetic: medians of clean samples, ratios to the router and to the relay, and the table that shows them."""

from __future__ import annotations

from loadtest.compare.idle import Idle
from loadtest.compare.measure import Clocks, Sample
from loadtest.compare.promises import promise_rows
from loadtest.compare.ratios import idle_rows, load_rows, medians, paired
from loadtest.compare.report import Result, text
from loadtest.compare.table import table


def sample(
    target: str, requests_cpu_s: float, stolen: float = 0.0, errors: int = 0, number: int = 1, p50_ms: float = 1.0
) -> Sample:
    return Sample("get", target, number, requests_cpu_s, requests_cpu_s, p50_ms, 2.0, 20.0, 1.0, stolen, 0.0, errors, 0)


def test_a_disturbed_sample_is_left_out_of_the_medians_but_its_errors_are_not() -> None:
    row = medians([sample("router", 100.0), sample("router", 300.0, stolen=0.16, errors=3), sample("router", 200.0)])

    assert row["requests_cpu_s"] == 150.0
    assert row["clean"] == "2/3"
    assert row["errors"] == 3


def test_a_row_without_a_clean_sample_is_marked_and_gets_no_ratio_of_requests_a_second() -> None:
    router, nginx = load_rows([sample("router", 100.0), sample("nginx", 50.0, stolen=0.5)], ["router", "nginx"])

    assert "better_cpu" not in router
    assert nginx["clean"] == "0/1 *"
    assert nginx["better_cpu"] == 2.0
    assert "better_s" not in nginx


def test_the_relay_is_the_floor_that_every_row_is_compared_with() -> None:
    rows = load_rows([sample("router", 60.0), sample("relay", 100.0)], ["router", "relay"])

    assert rows[0]["of_relay"] == 0.6
    assert rows[1]["better_cpu"] == 0.6


def test_ratios_are_taken_within_each_round_so_that_a_machine_that_changes_its_pace_changes_none() -> None:
    router = [sample("router", pace * 11, number=n) for n, pace in enumerate((10.0, 10.0, 7.0, 7.0, 10.0), 1)]
    nginx = [sample("nginx", pace * 10, number=n) for n, pace in enumerate((10.0, 7.0, 7.0, 7.0, 10.0), 1)]

    _, row = load_rows([*router, *nginx], ["router", "nginx"])

    assert round(float(row["better_cpu"]), 6) == 1.1  # the medians say 1.57
    assert (row["requests_cpu_s"], medians(router)["requests_cpu_s"]) == (70.0, 110.0)


def test_a_round_in_which_one_of_two_was_disturbed_compares_nothing() -> None:
    router = [sample("router", 10.0, stolen=0.2), sample("router", 20.0, number=2), sample("router", 30.0, number=3)]
    nginx = [sample("nginx", 10.0), sample("nginx", 10.0, number=2), sample("nginx", 10.0, stolen=0.3, number=3)]

    assert paired([*router, *nginx], "router", "nginx", "requests_cpu_s") == 2.0
    assert paired([*router, *nginx], "router", "go", "requests_cpu_s") is None


def test_a_connections_memory_is_the_growth_from_rest_over_a_thousand() -> None:
    rows = idle_rows([Idle("router", 20.0, 22.0, 0), Idle("nginx", 10.0, 11.0, 4)])

    assert rows[0]["connection_kib"] == 2.0 * 1024 / 1000
    assert rows[1]["better_mib"] == 2.0
    assert rows[1]["errors"] == 4


def test_others_are_what_a_cpu_did_beyond_the_measured_programs() -> None:
    before = Clocks(0.0, 10.0, 5.0, 100.0, 1.0, 50.0, 0.0)
    after = Clocks(3.0, 12.0, 6.0, 103.0, 1.5, 51.2, 0.1)

    spent = after.since(before)

    assert spent.wall == 3.0
    assert round(spent.stolen(with_steal=True), 6) == 1.5  # the proxy's CPU: 3 s busy, 2 s ours, 0.5 s withheld
    assert round(spent.stolen(with_steal=False), 6) == 1.0


def test_a_table_leaves_out_columns_that_no_row_has() -> None:
    shown = table("t", [{"target": "a", "x": 1.0}, {"target": "bb"}], {"x": ("x", ".1f"), "y": ("y", "")})

    assert shown.split("\n") == ["t", "target    x", "a       1.0", "bb        -"]


def test_a_run_with_more_than_a_quarter_of_its_samples_disturbed_says_that_it_proves_nothing() -> None:
    noisy = [sample("router", 100.0, stolen=0.2), sample("router", 100.0)]
    result = Result(["router"], [], 1, 3, noisy, [], {"router": ["no keep-alive to the upstream"]})

    report = text(result)

    assert "1 of 2 samples disturbed: NOT A QUIET MACHINE" in report
    assert "less work: router: no keep-alive to the upstream" in report
    assert report.endswith("no errors")


def test_errors_under_load_are_named_by_target_and_scenario() -> None:
    result = Result(["router"], [], 1, 3, [sample("router", 1.0, errors=7)], [], {"router": []})

    assert result.errors() == {"router in get": 7}
    assert text(result).endswith("ERRORS: router in get 7")


def test_each_promise_stands_beside_what_was_found_and_what_was_missed_is_marked() -> None:
    found = {"router": 100.0, "plain": 80.0, "nginx": 99.0, "haproxy": 70.0, "go": 30.0, "relay": 120.0, "many routes": 94.0}
    (row,) = promise_rows({"get": [sample(target, figure) for target, figure in found.items()]})

    assert row["router"] == "1.01!"  # of the better one, nginx
    assert row["plain"] == "0.81!"
    assert row["go"] == "3.33 (goal 3), plain 2.67! (must 2.7)"
    assert row["relay"] == "0.83 (goal 0.7), plain 0.67 (must 0.6)"
    assert row["many"] == "0.94!"
    assert "traefik" not in row


def test_with_one_connection_latency_is_promised_and_less_is_better() -> None:
    found = {"router": 0.9, "plain": 1.2, "nginx": 1.0}

    (row,) = promise_rows({"one": [sample(target, 1.0, p50_ms=p50) for target, p50 in found.items()]})

    assert (row["router"], row["plain"]) == ("0.90", "1.20!")
    assert (row["goal"], row["must"]) == ("at most 1", "at most 1.15")


def test_without_the_router_or_a_peer_that_counts_nothing_is_promised() -> None:
    assert promise_rows({"get": [sample("nginx", 1.0)]}) == []
    assert promise_rows({"get": [sample("router", 1.0), sample("go", 1.0)]}) == []
