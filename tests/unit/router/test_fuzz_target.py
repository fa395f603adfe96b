"""The fuzzer's target holds for every seed, so `make fuzz` begins on green."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import seeds
from tests.fuzz.target import cuts, one_input

SEEDS = list(seeds())


@pytest.mark.parametrize("part", range(8))
def test_every_seed_of_the_fuzzer_keeps_what_must_hold(part: int) -> None:
    for seed in SEEDS[part::8]:
        one_input(seed)


def test_the_seeds_come_from_both_sides_and_are_many() -> None:
    assert len(SEEDS) > 250
    assert 50 < sum(seed[0] % 2 for seed in SEEDS) < len(SEEDS) - 50


def test_a_cut_stream_is_the_stream() -> None:
    assert all(b"".join(cuts(b"0123456789" * 5, seed)) == b"0123456789" * 5 for seed in range(256))
