"""How many replicas, and why: the rules by example."""

from __future__ import annotations

import pytest

from autoscaler.decide import Memory, decide
from autoscaler.model import Load, Policy

TEN = Policy(target=10.0, maximum=100)


def load(
    stable: float = 0.0,
    panic: float | None = None,
    present: int = 1,
    idle_for: float = 0.0,
    complete: bool = True,
    ready: int = 1,
) -> Load:
    return Load(stable, stable if panic is None else panic, present, idle_for, complete, ready)


def step(policy: Policy, seen: Load, wanted: int | None = None, now: float = 0.0) -> tuple[int, str]:
    decision, _ = decide(policy, seen, Memory(wanted), now)
    return decision.replicas, decision.reason


def test_as_many_replicas_as_carry_the_stable_load() -> None:
    assert step(TEN, load(25.0, ready=2)) == (3, "stable: 25.0 in flight over 60 s, 10 for each replica")


def test_requests_a_second_are_told_as_such() -> None:
    policy = Policy(metric="rps", target=200.0)
    assert step(policy, load(390.0, ready=2)) == (2, "stable: 390.0 requests/s over 60 s, 200 for each replica")


def test_panic_begins_when_the_short_window_wants_twice_what_is_ready() -> None:
    replicas, reason = step(TEN, load(15.0, 55.0, ready=3))
    assert (replicas, reason) == (6, "panic: 55.0 in flight over 6 s, 10 for each replica")


def test_less_than_the_threshold_is_no_panic() -> None:
    replicas, reason = step(TEN, load(30.0, 50.0, ready=3))
    assert replicas == 3
    assert reason.startswith("stable")


def test_panic_holds_the_peak_until_a_stable_window_below_has_passed() -> None:
    decision, memory = decide(TEN, load(15.0, 55.0, ready=3), Memory(3), 0.0)
    decision, memory = decide(TEN, load(5.0, 1.0, ready=6), memory, 59.0)
    assert (decision.replicas, decision.reason) == (6, "panic: holding the peak")
    decision, memory = decide(TEN, load(5.0, 1.0, ready=6), memory, 60.0)
    assert decision.replicas == 3
    assert memory.peak == 0


def test_panic_never_wants_less_than_was_already_on_its_way() -> None:
    decision, _ = decide(TEN, load(10.0, 30.0, ready=1), Memory(wanted=8), 0.0)
    assert decision.replicas == 8


def test_one_step_up_is_limited_by_what_is_ready() -> None:
    policy = Policy(target=1.0, maximum=10**6, max_up=10.0)
    assert step(policy, load(1000.0, ready=3), wanted=3)[0] == 30


def test_one_step_down_is_limited() -> None:
    assert step(TEN, load(5.0, ready=9), wanted=9)[0] == 4


def test_a_step_down_waits_for_a_margin_so_that_two_counts_do_not_alternate() -> None:
    assert step(TEN, load(19.9, ready=3), wanted=3) == (
        3,
        "stable: 19.9 in flight over 60 s, 10 for each replica, too near the step to go down",
    )
    assert step(TEN, load(17.9, ready=3), wanted=3)[0] == 2
    assert step(TEN, load(19.9, ready=2), wanted=2)[0] == 2


def test_missing_samples_take_nothing_down_but_may_still_add() -> None:
    assert step(TEN, load(0.0, ready=5, complete=False), wanted=5) == (5, "samples are missing: nothing is scaled down")
    assert step(TEN, load(75.0, ready=5, complete=False), wanted=5)[0] == 8


def test_the_last_replica_goes_after_the_grace() -> None:
    assert step(TEN, load(present=0, idle_for=29.9), wanted=1)[0] == 1
    assert step(TEN, load(present=0, idle_for=30.0), wanted=1) == (0, "idle for 30 s, the grace is 30 s")


def test_zero_does_not_wait_for_the_stable_window() -> None:
    policy = Policy(target=10.0, idle_grace=2.0)
    assert step(policy, load(3.0, 0.0, present=0, idle_for=2.0), wanted=1)[0] == 0


def test_a_burst_that_is_over_is_no_panic_when_its_grace_has_passed() -> None:
    policy = Policy(target=1.0, idle_grace=1.0)
    assert step(policy, load(2.0, 8.0, present=0, idle_for=1.5), wanted=1)[0] == 0


def test_many_replicas_go_to_zero_by_steps() -> None:
    counts, memory = [], Memory(8)
    for now in range(4):
        decision, memory = decide(TEN, load(present=0, idle_for=60.0, ready=memory.wanted or 0), memory, float(now))
        counts.append(decision.replicas)
    assert counts == [4, 2, 1, 0]


def test_a_silent_tunnel_keeps_its_replica() -> None:
    assert step(TEN, load(0.0, present=1, idle_for=0.0), wanted=1)[0] == 1


def test_nothing_goes_to_zero_while_samples_are_missing() -> None:
    assert step(TEN, load(present=0, idle_for=999.0, complete=False), wanted=1)[0] == 1


def test_a_sleeping_route_is_not_woken_by_old_samples_nor_by_missing_ones() -> None:
    for complete in (True, False):
        seen = load(2.0, 0.0, present=0, idle_for=0.0, ready=0, complete=complete)
        assert step(TEN, seen, wanted=0) == (0, "asleep: nothing is there and nothing comes")


def test_a_route_that_someone_woke_gets_its_grace() -> None:
    assert step(TEN, load(0.0, present=0, idle_for=3.0, ready=1), wanted=0)[0] == 1


def test_waiting_requests_want_a_replica() -> None:
    assert step(TEN, load(0.5, present=1, ready=0), wanted=0)[0] == 1


def test_the_minimum_and_the_maximum_are_told() -> None:
    low = Policy(target=10.0, minimum=2, maximum=4)
    assert step(low, load(present=0, idle_for=99.0, ready=2), wanted=2) == (
        2,
        "minimum of 2; idle for 99 s, the grace is 30 s: a step towards zero",
    )
    assert step(low, load(95.0, 95.0, ready=4), wanted=4)[1].startswith("maximum of 4; panic: 95.0")


def test_a_lowered_maximum_holds_even_in_panic() -> None:
    _, memory = decide(TEN, load(95.0, ready=3), Memory(3), 0.0)
    decision, _ = decide(Policy(target=10.0, maximum=4), load(95.0, ready=10), memory, 1.0)
    assert decision.replicas == 4


def test_without_a_memory_what_is_ready_counts() -> None:
    assert step(TEN, load(0.0, present=0, idle_for=5.0, ready=3, complete=False))[0] == 3


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"minimum": -1}, "minimum must be at least 0"),
        ({"minimum": 5, "maximum": 4}, "maximum must be at least 1 and the minimum, was 4"),
        ({"maximum": 0}, "maximum must be at least 1"),
        ({"target": 0.0}, "target must be above 0"),
        ({"target": float("nan")}, "target must be above 0"),
        ({"panic_window": 61.0}, "windows"),
        ({"panic_threshold": 1.0}, "panic_threshold"),
        ({"max_down": 1.0}, "max_down"),
        ({"idle_grace": -1.0}, "idle_grace"),
        ({"metric": "cpu"}, "metric must be concurrency or rps, was 'cpu'"),
    ],
)
def test_an_impossible_policy_is_refused_with_the_field(field: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Policy(**field)  # type: ignore[arg-type]
