"""Playing a scenario: its functions sleep before it, bare starts go on all through it, and doubtful times are measured again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from loadtest.scenarios.locusts import Order, Written
from loadtest.scenarios.play import Stage, functions
from loadtest.scenarios.target import Failed, Target
from loadtest.scenarios.thresholds import Threshold

STATS = "Type,Name,Request Count,Failure Count\nGET,{name},{count},0\n,Aggregated,{count},{failures}\n"


class Asleep(Target):
    """Whose functions sleep at once."""

    def asleep(self, name: str) -> None:
        pass


@dataclass
class Swarms:
    """Runs that are over at once; each has what it measured."""

    runs: list[dict[str, list[float]]]
    failures: int = 0
    orders: list[Order] = field(default_factory=list)
    ended: int = 0

    def start(self, order: Order) -> Swarms:
        self.orders.append(order)
        return self

    def running(self) -> bool:
        return False

    def written(self) -> Written:
        taken = self.runs[len(self.orders) - 1]
        name = self.orders[-1].scenario
        return Written(STATS.format(name=name, count=len(taken.get(name, ())), failures=self.failures), json.dumps(taken))

    def end(self) -> None:
        self.ended += 1


class Peers:
    """Bare starts that take 10 ms."""

    up = 0

    def bare_starts(self, going_on: Callable[[], bool], pause: float) -> list[float]:
        assert not going_on()
        return [10.0]

    @contextmanager
    def nginx(self) -> Iterator[str]:
        self.up += 1
        yield "http://nginx"
        self.up -= 1


def asked(**bounds: float) -> Threshold:
    return Threshold(about="", users=1, seconds=10, failures=0, **bounds)  # type: ignore[arg-type]


def played(name: str, runs: Sequence[dict[str, list[float]]], threshold: Threshold, failures: int = 0) -> tuple[Stage, Swarms]:
    swarms = Swarms(list(runs), failures)
    return Stage(Asleep("http://router"), swarms, Peers()), swarms


SLOW, QUICK = {"warm": [9.0], "nginx": [1.0]}, {"warm": [1.0] * 200, "nginx": [1.0] * 200}


@pytest.mark.parametrize(
    ("runs", "orders", "p99"),
    [
        ([QUICK], ["warm"], 1.0),
        ([SLOW, QUICK], ["warm", "warm_again_1"], 1.0),
        ([SLOW, SLOW, SLOW], ["warm", "warm_again_1", "warm_again_2"], 9.0),
    ],
)
def test_times_in_doubt_are_measured_again_and_judged_all_together(
    runs: list[dict[str, list[float]]], orders: list[str], p99: float
) -> None:
    stage, swarms = played("warm", runs, asked())
    found = stage.play("warm", asked(p99_of_nginx=3.0))
    assert [order.files for order in swarms.orders] == orders
    assert found.p99 == p99 and found.seconds == 10 * len(orders)
    assert swarms.orders[0].options == {"beside": "http://nginx"}
    assert swarms.ended == len(orders) and stage.peers.up == 0  # type: ignore[attr-defined]


def test_a_failure_is_not_played_away() -> None:
    stage, swarms = played("warm", [SLOW, QUICK], asked(), failures=1)
    assert stage.play("warm", asked(p99_of_nginx=3.0)).failures == 1
    assert len(swarms.orders) == 1


def test_bare_starts_are_beside_cold_ones() -> None:
    stage, swarms = played("cold", [{"cold": [14.0]}], asked())
    found = stage.play("cold", asked(p95_of_bare=1.5, pause=4.0))
    assert found.peer == {"bare p95": 10.0}
    assert swarms.orders[0].options == {"pause": "4"}


def test_a_rollout_during_which_nothing_was_deployed_is_none() -> None:
    stage, swarms = played("rollout", [{"rollout": [1.0]}], asked())
    with pytest.raises(Failed, match="only 0 other revisions"):
        stage.play("rollout", asked())
    assert swarms.ended == 1


def test_what_scenarios_call_is_deployed_once() -> None:
    assert set(functions(["warm", "cold"])) == {"hello", "sleepy"}
    assert len(functions(["mixed"])) == 6
