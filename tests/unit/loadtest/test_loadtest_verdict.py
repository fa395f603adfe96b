"""A load test passes only when every figure keeps its bound, and never by measuring nothing."""

from __future__ import annotations

import pytest

from loadtest.verdict import Claim, table, verdict


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        (Claim("p99", 5.0, 5.0, "ms"), True),
        (Claim("p99", 5.1, 5.0, "ms"), False),
        (Claim("goodput", 0.9, 0.9, "of peak", least=True), True),
        (Claim("goodput", 0.89, 0.9, "of peak", least=True), False),
        (Claim("p99", float("nan"), 5.0, "ms"), False),
        (Claim("goodput", float("nan"), 0.9, "", least=True), False),
    ],
)
def test_a_claim_holds_up_to_its_bound_and_not_without_a_figure(claim: Claim, holds: bool) -> None:
    assert claim.holds is holds


def test_one_failed_claim_or_none_at_all_fails_the_whole() -> None:
    good, bad = Claim("a", 1, 2, "s"), Claim("b", 3, 2, "s")

    assert verdict([good])
    assert not verdict([good, bad])
    assert not verdict([])


def test_the_table_shows_facts_figures_bounds_and_the_verdict() -> None:
    shown = table(
        "overload", [Claim("refusals p99", 1.5, 50, "ms"), Claim("goodput", 0.95, 0.9, "", least=True)], [("peak", "98/s")]
    )

    assert shown.split("\n") == [
        "overload",
        "  peak            98/s",
        "  refusals p99  1.5 ms  at most 50 ms  PASS",
        "  goodput         0.95  at least 0.9   PASS",
        "PASS",
    ]
