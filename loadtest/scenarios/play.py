"""Plays one scenario: lets locust's users in, does meanwhile what it is about, measures what it is compared with, and counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from loadtest.scenarios.functions import ECHO, HELLO, MIXED, SLEEPY, SOCKET, SPIKE, Sample, revision
from loadtest.scenarios.locusts import Order, Swarm, Swarms
from loadtest.scenarios.outcome import Outcome, Taken, outcome
from loadtest.scenarios.peers import Peers
from loadtest.scenarios.target import Failed, Target
from loadtest.scenarios.thresholds import Threshold, doubtful


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
        target.deploy({"rollout": revision(number)})
    if number < 3:
        raise Failed(f"only {number - 1} other revisions were deployed while users called: let the scenario last longer")


SCENARIOS: Mapping[str, Scenario] = {
    "warm": Scenario({"hello": HELLO}, counted="warm"),
    "cold": Scenario({"sleepy": SLEEPY}, counted="cold", asleep=("sleepy",)),
    "spike": Scenario({"spike": SPIKE}, asleep=("spike",)),
    "mixed": Scenario(MIXED),
    "websockets": Scenario({"socket": SOCKET}, counted="echo"),
    "slow": Scenario({"echo": ECHO}),
    "rollout": Scenario({"rollout": revision(1)}, meanwhile=redeploy),
}


def functions(names: Sequence[str]) -> dict[str, Sample]:
    """All that these scenarios call."""
    return {function: sample for name in names for function, sample in SCENARIOS[name].functions.items()}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where scenarios are played: their functions are deployed there."""

    target: Target
    swarms: Swarms
    peers: Peers

    def play(self, name: str, threshold: Threshold) -> Outcome:
        """One scenario, once more where its times are in doubt; the outcome is of all that was measured. Raises Failed."""
        runs: list[Taken] = []
        while True:
            runs.append(self._run(name, threshold, f"{name}_again_{len(runs)}" if runs else name))
            try:
                found = outcome(name, runs, SCENARIOS[name].counted)
            except ValueError as error:
                raise Failed(str(error)) from error
            if len(runs) > threshold.again or not doubtful(threshold, found):
                return found

    def _run(self, name: str, threshold: Threshold, files: str) -> Taken:
        scenario = SCENARIOS[name]
        for function in scenario.asleep:
            self.target.asleep(function)
        bare: list[float] = []
        with ExitStack() as stack:
            options = {} if threshold.pause is None else {"pause": f"{threshold.pause:g}"}
            if threshold.p99_of_nginx is not None:
                options["beside"] = stack.enter_context(self.peers.nginx())
            swarm = self.swarms.start(Order(name, self.target.url, threshold, options, files))
            stack.callback(swarm.end)
            scenario.meanwhile(self.target, swarm)
            if threshold.p95_of_bare is not None:  # all along, because a busy moment of the machine is then one of both
                bare = self.peers.bare_starts(swarm.running, threshold.bare_pause)
            written = swarm.written()
        return Taken(written.stats, written.exact, threshold.seconds, bare)
