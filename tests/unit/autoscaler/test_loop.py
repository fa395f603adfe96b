"""The loop, in virtual time: from samples to calls of the scaler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import pytest

from autoscaler.loop import Loop, Target
from autoscaler.model import Policy, Sample
from autoscaler.recorder import Recorder


class World:
    """A function, its replicas and a clock: what is asked for is there a few seconds later."""

    def __init__(self, policy: Policy, ready: int = 0, start_seconds: int = 2) -> None:
        self.now = 1000.0
        self.ready = ready
        self.unreachable = 0
        self.policy = policy
        self.start_seconds = start_seconds
        self.asked: list[tuple[int, str]] = []
        self.coming: list[tuple[float, int]] = []
        self.recorder: Recorder[str] = Recorder()
        self.loop: Loop[str] = Loop(self.recorder, self, self.targets, self.clock, self.clock)

    def clock(self) -> float:
        return self.now

    def targets(self) -> Iterable[Target[str]]:
        return [Target("hello", self.policy, self.ready, self.unreachable)]

    def scale_to(self, key: str, replicas: int, reason: str) -> None:
        assert key == "hello"
        self.asked.append((replicas, reason))
        self.coming.append((self.now + (self.start_seconds if replicas > self.ready else 0), replicas))

    def second(self, concurrency: float = 0.0, requests: int = 0, present: int = 0) -> None:
        self.now += 1.0
        for at, replicas in [entry for entry in self.coming if entry[0] <= self.now]:
            self.ready = replicas
            self.coming.remove((at, replicas))
        sample = Sample(self.now, concurrency, requests, present)
        self.recorder.record("a", self.now, {"hello": sample} if present or requests or concurrency else {})
        self.loop.tick()


def test_from_zero_up_with_the_load_and_back_to_zero_after_the_grace() -> None:
    world = World(Policy(target=10.0, idle_grace=5.0))
    for _ in range(90):
        world.second(35.0, 100, 35)
    assert world.ready == 4
    for _ in range(80):
        world.second()
    assert world.ready == 0
    counts = [replicas for replicas, _ in world.asked]
    assert counts[-1] == 0
    assert counts[-2] == 1


def test_a_replica_that_a_silent_tunnel_holds_stays() -> None:
    world = World(Policy(idle_grace=5.0), ready=1)
    for _ in range(60):
        world.second(1.0, 0, 1)
    assert world.asked == []
    for _ in range(6):
        world.second()
    assert [replicas for replicas, _ in world.asked] == [0]


def test_a_replica_that_nobody_has_called_yet_gets_the_grace_from_when_it_came() -> None:
    world = World(Policy(idle_grace=5.0))
    for _ in range(30):
        world.second()
    for deployments in (1, 2):
        world.ready = 1  # a deployment proved it
        for _ in range(5):
            world.second()
        assert [replicas for replicas, _ in world.asked].count(0) == deployments - 1
        for _ in range(3):
            world.second()
        assert [replicas for replicas, _ in world.asked].count(0) == deployments


def test_noise_around_a_step_does_not_flap() -> None:
    world = World(Policy(target=10.0, panic_threshold=5.0), ready=1)
    for second in range(300):
        world.second(30.0 + (1.5 if second // 20 % 2 else -1.5), 10, 30)
    late = [replicas for replicas, _ in world.asked][3:]
    assert set(late) <= {4}


def test_a_change_is_logged_once_and_kept_with_its_load(caplog: pytest.LogCaptureFixture) -> None:
    world = World(Policy(target=10.0, panic_threshold=100.0), ready=1)
    with caplog.at_level(logging.INFO, "autoscaler.loop"):
        for _ in range(8):
            world.second(25.0, 10, 25)
    assert [record.getMessage() for record in caplog.records] == [
        "hello: 1 -> 3 (stable: 25.0 in flight over 60 s, 10 for each replica)"
    ]
    (explanation,) = world.loop.explain("hello")
    assert (explanation.before, explanation.decision.replicas, explanation.load.stable) == (1, 3, 25.0)
    latest = world.loop.latest("hello")
    assert latest is not None
    assert latest[0].replicas == 3
    assert world.loop.explain("other") == ()


def test_a_decision_that_is_not_fulfilled_is_told_again() -> None:
    world = World(Policy(target=10.0, panic_threshold=100.0), ready=1, start_seconds=10**6)
    for _ in range(25):
        world.second(25.0, 10, 25)
    assert [replicas for replicas, _ in world.asked] == [3, 3, 3]


def test_replicas_that_cannot_be_reached_are_told_at_once_and_again_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    world = World(Policy(minimum=2, idle_grace=600.0), ready=2, start_seconds=10**6)
    with caplog.at_level(logging.INFO, "autoscaler.loop"):
        for _ in range(5):
            world.second()
        assert world.asked == []
        world.ready, world.unreachable = 1, 1
        for _ in range(12):
            world.second()
        assert [replicas for replicas, _ in world.asked] == [2, 2]  # at once, and every ten seconds until it is so
        world.ready = 2  # another has taken its place
        for _ in range(30):
            world.second()
        assert len(world.asked) == 2
        world.unreachable = 0  # and it is not counted any more
        world.second()
    assert [replicas for replicas, _ in world.asked] == [2, 2, 2]
    why = "minimum of 2; stable: 0.0 in flight over 60 s, 70 for each replica"
    assert [record.getMessage() for record in caplog.records] == [
        f"hello: 2 -> 2 ({why}; 1 more cannot be reached)",
        f"hello: 2 -> 2 ({why})",
    ]
    assert [each.decision.rule for each in world.loop.explain("hello")] == ["minimum", "minimum"]
    assert world.loop.changes() == {}


def test_of_a_replica_that_comes_and_goes_each_change_is_told_once() -> None:
    world = World(Policy(minimum=1), ready=1, start_seconds=10**6)
    for second in range(9):
        lost = second // 3 % 2
        world.ready, world.unreachable = 1 - lost, lost
        world.second()
    assert [replicas for replicas, _ in world.asked] == [1, 1]


def test_a_sleeping_route_costs_no_decision() -> None:
    world = World(Policy())
    for _ in range(10):
        world.second()
    assert world.loop.latest("hello") is None
    assert world.asked == []


def test_a_minimum_is_asked_for_at_once() -> None:
    world = World(Policy(minimum=2))
    world.second()
    assert [replicas for replicas, _ in world.asked] == [2]


def test_a_route_that_is_not_ours_any_more_is_forgotten() -> None:
    world = World(Policy(minimum=2))
    world.second()
    world.targets = list  # type: ignore[assignment, method-assign]
    loop: Loop[str] = Loop(world.recorder, world, lambda: world.targets(), world.clock)
    loop.tick()
    assert loop.latest("hello") is None


def test_what_one_routes_scaler_throws_does_not_keep_the_others_from_being_scaled(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    class Broken:
        def scale_to(self, key: str, replicas: int, reason: str) -> None:
            if key == "bad":
                raise OSError("no route to host")
            told.append(key)

    policy = Policy(minimum=1)
    loop: Loop[str] = Loop(Recorder(), Broken(), lambda: [Target("bad", policy, 0), Target("good", policy, 0)], lambda: 5.0)
    loop.tick()
    assert told == ["good"]
    assert "bad: could not be scaled" in caplog.text


def test_the_loop_ticks_once_a_second_until_it_is_cancelled() -> None:
    ticks: list[float] = []

    async def virtual() -> None:
        now = 0.0
        loop: Loop[str] = Loop(Recorder(), World(Policy()), lambda: ticks.append(now) or [], lambda: now)  # type: ignore[func-returns-value]
        task = asyncio.create_task(loop.run())
        real = asyncio.sleep

        async def sleep(seconds: float) -> None:
            nonlocal now
            now += seconds
            await real(0)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("autoscaler.loop.asyncio.sleep", sleep)
            while len(ticks) < 3:
                await real(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(virtual())
    assert ticks[:3] == [1.0, 2.0, 3.0]
