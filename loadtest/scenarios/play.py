"""Plays one scenario: gets its functions ready, lets locust's users in, does meanwhile what it is about, and counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.scenarios import peers
from loadtest.scenarios.functions import ECHO, HELLO, MIXED, SLEEPY, SOCKET, SPIKE, Sample, revision
from loadtest.scenarios.locusts import Swarm
from loadtest.scenarios.outcome import Outcome, outcome
from loadtest.scenarios.target import Failed, Target
from loadtest.scenarios.thresholds import Threshold

BARE_STARTS = 6  # before and after a scenario that is compared with them


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a scenario needs besides its users."""

    functions: Mapping[str, Sample]
    counted: str = ""  # only requests of this name are judged by their time; "" = all
    asleep: tuple[str, ...] = ()  # functions that must sleep before it begins
    meanwhile: Callable[[Target, Swarm], None] = field(default=lambda target, swarm: None)


def redeploy(target: Target, swarm: Swarm) -> None:
    """Deploy another revision as long as the users call. Raises Failed unless at least two took over."""
    number = 1
    while swarm.running():
        number += 1
        target.deploy("rollout", revision(number))
    if number < 3:
        raise Failed(f"only {number - 1} revision was deployed while users called: let the scenario last longer")


SCENARIOS: Mapping[str, Scenario] = {
    "warm": Scenario({"hello": HELLO}),
    "cold": Scenario({"sleepy": SLEEPY}, counted="cold", asleep=("sleepy",)),
    "spike": Scenario({"spike": SPIKE}, asleep=("spike",)),
    "mixed": Scenario(MIXED),
    "websockets": Scenario({"socket": SOCKET}, counted="echo"),
    "slow": Scenario({"echo": ECHO}),
    "rollout": Scenario({"rollout": revision(1)}, meanwhile=redeploy),
}


def play(name: str, target: Target, threshold: Threshold, results: Path) -> Outcome:
    """One scenario, from deploying its functions to deleting them. Raises Failed."""
    scenario = SCENARIOS[name]
    try:
        for function, sample in scenario.functions.items():
            target.deploy(function, sample)
        for function in scenario.asleep:
            target.asleep(function)
        bare = peers.bare_p95(BARE_STARTS) if threshold.p95_of_bare else 0.0
        swarm = Swarm(name, target.url, threshold, results, name)
        try:
            scenario.meanwhile(target, swarm)
            written = swarm.written()
        finally:
            swarm.end()
        peer: dict[str, float] = {}
        if threshold.p95_of_bare:
            peer["bare p95"] = max(bare, peers.bare_p95(BARE_STARTS))
        if threshold.p99_of_nginx:
            peer["nginx p99"] = _beside_nginx(name, threshold, results, scenario.counted)
        return outcome(name, written.stats, written.exact, scenario.counted, threshold.seconds, peer)
    finally:
        target.delete(list(scenario.functions))


def _beside_nginx(name: str, threshold: Threshold, results: Path, counted: str) -> float:
    with peers.nginx() as url:
        written = Swarm(name, url, threshold, results, f"{name}_nginx").written()
        return outcome(name, written.stats, written.exact, counted, threshold.seconds, {}).p99
