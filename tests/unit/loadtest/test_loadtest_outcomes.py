"""When requests arrive, and what the load tests make of their outcomes."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals import at_once, poisson, steady
from loadtest.outcomes import Outcome, goodput, latencies, percentile, statuses


def test_steady_arrivals_keep_their_distance_and_their_number() -> None:
    assert list(steady(4, 1.5)) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert list(at_once(3)) == [0.0, 0.0, 0.0]


def test_random_arrivals_keep_their_rate_and_are_the_same_for_the_same_seed() -> None:
    arrivals = list(poisson(1000, 10, random.Random(1)))

    assert arrivals == list(poisson(1000, 10, random.Random(1)))
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= 0
    assert arrivals[-1] < 10
    assert abs(len(arrivals) - 10_000) < 400  # four standard deviations


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_one_of_the_values_and_its_share_is_not_above_it(values: list[float], share: float) -> None:
    found = percentile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_the_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 0.99))


def test_goodput_counts_answers_by_the_moment_they_ended_and_no_refusals() -> None:
    outcomes = [
        Outcome(0.0, 0.9, 200),
        Outcome(0.5, 0.6, 200),
        Outcome(1.0, 0.1, 503),
        Outcome(1.0, 0.2, 204),
        Outcome(1.0, 0.3, 0),
    ]

    assert goodput(outcomes, 1.0, 3.0) == 1.0
    assert statuses(outcomes) == {0: 1, 200: 2, 204: 1, 503: 1}
    assert latencies(outcomes, 503) == [0.1]
