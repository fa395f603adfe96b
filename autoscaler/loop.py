"""The autoscaler's shell: every second it decides for each route, acts and logs where something changed, and remembers why."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from autoscaler.decide import Memory, decide
from autoscaler.model import Decision, Load, Policy
from autoscaler.recorder import Recorder

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)

PERIOD: Final = 1.0  # seconds between two decisions
REPEAT: Final = 10.0  # seconds after which a decision that is not fulfilled is told again: a lost write must not last
KEPT: Final = 50  # explanations of one route


class Scaler(Protocol[K_contra]):
    """Who makes it so. Returns at once; the outcome is seen in the number of ready replicas."""

    def scale_to(self, key: K_contra, replicas: int, reason: str) -> None:
        """Ask for this many replicas."""


class Target(NamedTuple, Generic[K]):
    """A route to decide for."""

    key: K
    policy: Policy
    ready: int  # replicas that take requests now
    unreachable: int = 0  # others that are counted as replicas where they run, and cannot be reached


class Explanation(NamedTuple):
    """One change: what was decided, from what, and on which load."""

    at: float  # seconds since the epoch
    before: int
    decision: Decision
    load: Load


class Standing(NamedTuple):
    """How one route stands after the last tick."""

    ready: int  # replicas
    decision: Decision
    load: Load


@dataclass(slots=True)
class _State:
    memory: Memory = field(default_factory=Memory)
    changes: dict[str, int] = field(default_factory=dict)  # rule -> times that it changed the number of replicas
    latest: tuple[Decision, Load] | None = None
    told_at: float = 0.0
    unreachable: int = 0  # replicas, as it was told last
    ready_since: float | None = None  # monotonic seconds: since when there is a replica; None: there is none
    history: deque[Explanation] = field(default_factory=lambda: deque(maxlen=KEPT))


class Loop(Generic[K]):
    """Decides for all targets; `tick` is one second of it, `run` goes on until cancelled.

    `targets` names the routes that are ours to scale, at every tick anew: none while another router holds the lease.
    """

    def __init__(
        self,
        recorder: Recorder[K],
        scaler: Scaler[K],
        targets: Callable[[], Iterable[Target[K]]],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._recorder = recorder
        self._scaler = scaler
        self._targets = targets
        self._clock = clock
        self._wall = wall
        self._states: dict[K, _State] = {}

    async def run(self) -> None:
        """Tick once a second, on the second it began with; after a pause of the process, at once."""
        due = self._clock()
        while True:
            due = max(due + PERIOD, self._clock())
            await asyncio.sleep(due - self._clock())
            self.tick()

    def tick(self) -> None:
        """Decide once for every target, and forget those that are none any more."""
        now = self._clock()
        seen: set[K] = set()
        for target in list(self._targets()):  # acting on one may change what there is
            seen.add(target.key)
            try:
                if not self._asleep(target):
                    self._step(target, now)
                elif state := self._states.get(target.key):
                    state.ready_since = None
            except Exception:  # what one route's scaler throws must not keep the others from being scaled
                log.exception("%s: could not be scaled, tried again in a second", target.key)
        for key in [key for key in self._states if key not in seen]:
            del self._states[key]

    def explain(self, key: K) -> tuple[Explanation, ...]:
        """Why a route was scaled: its last changes, oldest first."""
        state = self._states.get(key)
        return tuple(state.history) if state else ()

    def latest(self, key: K) -> tuple[Decision, Load] | None:
        """What was decided last, changed or not, and on which load."""
        state = self._states.get(key)
        return state.latest if state else None

    def standings(self) -> dict[K, Standing]:
        """Every route that this one scales and that is not just asleep."""
        return {
            key: Standing(load.ready, decision, load)
            for key, state in self._states.items()
            if state.latest is not None
            for decision, load in (state.latest,)
        }

    def changes(self) -> dict[K, dict[str, int]]:
        """Rule -> how often it changed the number of replicas, of every route that this one scales."""
        return {key: dict(state.changes) for key, state in self._states.items() if state.changes}

    def _asleep(self, target: Target[K]) -> bool:
        """Nothing there, nothing wanted, nothing seen: most of 10,000 routes, most of the time."""
        state = self._states.get(target.key)
        wanted = state.memory.wanted if state else 0
        return not (wanted or target.ready or target.policy.minimum or target.key in self._recorder)

    def _step(self, target: Target[K], now: float) -> None:
        state = self._states.setdefault(target.key, _State())
        load = self._recorder.load(target.key, target.policy, now, target.ready)
        if not target.ready:
            state.ready_since = None
        elif state.ready_since is None:
            state.ready_since = now
        if state.ready_since is not None:  # a replica that nobody has called yet, as after a deployment, gets its grace as well
            load = replace(load, idle_for=min(load.idle_for, now - state.ready_since))
        before = state.memory.held(load)
        decision, state.memory = decide(target.policy, load, state.memory, now)
        if target.unreachable:
            decision = replace(decision, reason=f"{decision.reason}; {target.unreachable} more cannot be reached")
        state.latest = (decision, load)
        if decision.replicas != before or target.unreachable != state.unreachable:
            self._note(target.key, state, Explanation(self._wall(), before, decision, load))
        elif decision.replicas == target.ready or now - state.told_at < REPEAT:
            return
        state.told_at, state.unreachable = now, target.unreachable
        self._scaler.scale_to(target.key, decision.replicas, decision.reason)

    def _note(self, key: K, state: _State, change: Explanation) -> None:
        before, decision = change.before, change.decision
        log.info("%s: %d -> %d (%s)", key, before, decision.replicas, decision.reason)
        if decision.replicas != before:
            state.changes[decision.rule] = state.changes.get(decision.rule, 0) + 1
        state.history.append(change)
