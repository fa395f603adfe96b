"""Samples of one or several routers, condensed."""

from __future__ import annotations

import pytest

from autoscaler.model import Policy, Sample
from autoscaler.recorder import Recorder

POLICY = Policy()


def busy(at: float, concurrency: float = 1.0, requests: int = 1, present: int = 1) -> Sample:
    return Sample(at, concurrency, requests, present)


def told(recorder: Recorder[str], seconds: range, source: str = "a", **amounts: float) -> None:
    """One router's batches for these seconds; every route named has that concurrency, the others are idle."""
    for at in seconds:
        recorder.record(source, float(at), {key: busy(at, value) for key, value in amounts.items()})


def test_a_route_that_was_never_seen_is_idle_since_the_batches_are_whole() -> None:
    recorder: Recorder[str] = Recorder()
    told(recorder, range(1, 41))
    load = recorder.load("hello", POLICY, 40.2, 1)
    assert (load.stable, load.present, load.complete, load.ready) == (0.0, 0, True, 1)
    assert load.idle_for == pytest.approx(40.2)


def test_routers_add_up() -> None:
    recorder: Recorder[str] = Recorder()
    for at in range(1, 11):
        told(recorder, range(at, at + 1), "a", hello=2.0)
        told(recorder, range(at, at + 1), "b", hello=3.0)
    load = recorder.load("hello", POLICY, 10.1, 1)
    assert (load.stable, load.panic, load.present, load.idle_for) == (5.0, 5.0, 2, 0.0)


def test_requests_a_second_are_averaged_where_the_policy_asks_for_them() -> None:
    recorder: Recorder[str] = Recorder()
    for at in range(1, 11):
        recorder.record("a", float(at), {"hello": busy(at, requests=30)})
    assert recorder.load("hello", Policy(metric="rps"), 10.1, 1).stable == 30.0


def test_a_route_that_is_not_in_a_batch_was_idle() -> None:
    recorder: Recorder[str] = Recorder()
    told(recorder, range(1, 11), hello=6.0)
    told(recorder, range(11, 14))
    load = recorder.load("hello", POLICY, 13.5, 1)
    assert load.panic == 3.0
    assert (load.present, load.idle_for) == (0, 3.5)


def test_a_silent_tunnel_counts_as_present_in_every_second() -> None:
    recorder: Recorder[str] = Recorder()
    for at in range(1, 301):
        recorder.record("a", float(at), {"hello": Sample(float(at), 1.0, 0, 1)})
    load = recorder.load("hello", POLICY, 300.1, 1)
    assert (load.present, load.idle_for, load.stable) == (1, 0.0, 1.0)


def test_without_any_router_nothing_is_complete() -> None:
    assert not Recorder[str]().load("hello", POLICY, 100.0, 1).complete


def test_a_router_that_falls_silent_makes_loads_incomplete_and_keeps_what_it_held() -> None:
    recorder: Recorder[str] = Recorder()
    told(recorder, range(1, 21), "a")
    told(recorder, range(1, 11), "b", hello=4.0)
    load = recorder.load("hello", POLICY, 20.1, 1)
    assert not load.complete
    assert (load.present, load.idle_for) == (1, 0.0)


def test_a_router_that_left_for_good_takes_its_requests_along() -> None:
    recorder: Recorder[str] = Recorder()
    told(recorder, range(1, 21), "a")
    told(recorder, range(1, 11), "b", hello=4.0)
    recorder.leave("b")
    load = recorder.load("hello", POLICY, 20.1, 1)
    assert (load.complete, load.present) == (True, 0)


def test_a_router_that_is_expected_makes_loads_incomplete_until_it_tells() -> None:
    recorder: Recorder[str] = Recorder()
    told(recorder, range(1, 21), "a")
    recorder.join("b", 20.0)
    assert not recorder.load("hello", POLICY, 20.5, 1).complete
    for at in range(21, 28):
        told(recorder, range(at, at + 1), "a")
        told(recorder, range(at, at + 1), "b")
    assert recorder.load("hello", POLICY, 27.5, 1).complete


def test_after_a_gap_loads_are_complete_again_within_a_panic_window_and_idleness_counts_from_its_end() -> None:
    recorder: Recorder[str] = Recorder()
    told(recorder, range(1, 21))
    told(recorder, range(50, 56))
    assert not recorder.load("hello", POLICY, 54.9, 1).complete
    load = recorder.load("hello", POLICY, 55.0, 1)
    assert load.complete
    assert load.idle_for == pytest.approx(6.0)


def test_one_late_tick_is_no_gap_and_is_weighted_by_its_length() -> None:
    recorder: Recorder[str] = Recorder()
    told(recorder, range(1, 11), hello=5.0)
    recorder.record("a", 12.0, {"hello": busy(12.0, 5.0)})
    load = recorder.load("hello", POLICY, 12.1, 1)
    assert load.complete
    assert load.panic == pytest.approx(5.0)


def test_a_batch_that_comes_twice_counts_once() -> None:
    recorder: Recorder[str] = Recorder()
    told(recorder, range(1, 11), hello=5.0)
    told(recorder, range(10, 11), hello=5.0)
    assert recorder.load("hello", POLICY, 10.1, 1).stable == 5.0


def test_a_longer_stable_window_is_kept_from_when_it_is_asked_for() -> None:
    recorder: Recorder[str] = Recorder()
    policy = Policy(stable_window=120.0)
    for at in range(1, 121):
        told(recorder, range(at, at + 1), hello=4.0 if at <= 60 else 2.0)
        recorder.load("hello", policy, at + 0.1, 1)
    assert recorder.load("hello", policy, 120.1, 1).stable == pytest.approx(3.0)


def test_a_route_without_traffic_is_forgotten_after_its_window() -> None:
    recorder: Recorder[str] = Recorder()
    told(recorder, range(1, 3), hello=1.0)
    assert "hello" in recorder
    told(recorder, range(3, 100))
    recorder.load("hello", POLICY, 99.1, 1)
    assert "hello" not in recorder
    assert recorder.load("hello", POLICY, 99.1, 1).idle_for > POLICY.idle_grace
