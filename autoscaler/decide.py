"""How many replicas, and why: Knative's KPA rules as one pure function, with scale to zero and a guard against flapping.

Rules and constants: knative/serving, pkg/autoscaler/scaling/autoscaler.go. Ours: a reason in words, zero after `idle_grace`
without traffic instead of after an empty stable window, and no step down that the next bit of noise would take back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor, inf
from typing import Final

from autoscaler.model import Decision, Load, Policy

# What the replicas that stay after a step down may carry, as a part of the target: else n and n + 1 alternate around n targets.
MARGIN: Final = 0.9
_UNITS: Final = {"concurrency": "in flight", "rps": "requests/s"}


@dataclass(frozen=True, slots=True)
class Memory:
    """What one decision hands to the next one of the same route."""

    wanted: int | None = None  # replicas decided last; None: nothing yet
    panic_until: float = -inf  # monotonic seconds
    peak: int = 0  # replicas, the most that was wanted in this panic

    def held(self, load: Load) -> int:
        """The replicas that are there or on their way: what "up" and "down" are measured from."""
        return load.ready if self.wanted is None else self.wanted


def decide(policy: Policy, load: Load, memory: Memory, now: float) -> tuple[Decision, Memory]:
    """One step for one route, about once a second.

    Always within minimum and maximum; never down while samples are missing or in panic; to zero only when nothing was there
    for `idle_grace`; at most times `max_up` up and divided by `max_down` down.
    """
    memory = _panic(policy, load, memory, now)
    if now < memory.panic_until:
        decision = _in_panic(policy, load, memory)
    elif not _needed(policy, load, memory.held(load)):
        decision = _toward_zero(policy, load, memory)
    else:
        decision = _stable(policy, load, memory)
    decision = _bounded(policy, load, memory, decision)
    return decision, replace(
        memory, wanted=decision.replicas, peak=max(memory.peak, decision.replicas) if now < memory.panic_until else 0
    )


def _panic(policy: Policy, load: Load, memory: Memory, now: float) -> Memory:
    """Panic begins, and is prolonged by a stable window, while the short window wants a multiple of what is ready."""
    over = ceil(load.panic / policy.target) / max(1, load.ready) >= policy.panic_threshold
    if over and not _idle(policy, load):
        return replace(memory, panic_until=now + policy.stable_window)
    return memory


def _in_panic(policy: Policy, load: Load, memory: Memory) -> Decision:
    want = _limited(policy, load, memory, ceil(load.panic / policy.target))
    peak = max(memory.peak, memory.held(load))
    if want > peak:
        return Decision(want, f"panic: {_told(policy, load.panic, policy.panic_window)}")
    return Decision(peak, "panic: holding the peak")


def _idle(policy: Policy, load: Load) -> bool:
    """Nothing was there for the grace, and that is known."""
    return load.complete and not load.present and load.idle_for >= policy.idle_grace


def _needed(policy: Policy, load: Load, held: int) -> bool:
    """Whether at least one replica should be there."""
    if load.present or _idle(policy, load):
        return bool(load.present)
    # Asleep and nothing new: old samples, or missing ones, wake nobody. A replica that is ready was woken and gets its grace.
    return bool(held or load.ready or load.panic)


def _toward_zero(policy: Policy, load: Load, memory: Memory) -> Decision:
    if not memory.held(load) and not load.ready:
        return Decision(0, "asleep: nothing is there and nothing comes")
    want = _limited(policy, load, memory, 0)
    return Decision(
        want, f"idle for {load.idle_for:.0f} s, the grace is {policy.idle_grace:g} s" + (": a step towards zero" if want else "")
    )


def _stable(policy: Policy, load: Load, memory: Memory) -> Decision:
    held = memory.held(load)
    want = max(1, _limited(policy, load, memory, ceil(load.stable / policy.target)))
    if want < held:
        want = min(held, max(want, ceil(load.stable / (policy.target * MARGIN))))
        if want == held:
            return Decision(held, f"stable: {_told(policy, load.stable, policy.stable_window)}, too near the step to go down")
    return Decision(want, f"stable: {_told(policy, load.stable, policy.stable_window)}")


def _limited(policy: Policy, load: Load, memory: Memory, want: int) -> int:
    """Within one step up from what is ready, and one step down from what is ready or on its way."""
    most = ceil(policy.max_up * max(1, load.ready))
    least = floor(max(load.ready, memory.held(load)) / policy.max_down)
    return max(least, min(want, most))


def _bounded(policy: Policy, load: Load, memory: Memory, decision: Decision) -> Decision:
    held = memory.held(load)
    if not load.complete and decision.replicas < held:
        decision = Decision(held, "samples are missing: nothing is scaled down")
    if decision.replicas > policy.maximum:
        return Decision(policy.maximum, f"maximum of {policy.maximum}; {decision.reason}")
    if decision.replicas < policy.minimum:
        return Decision(policy.minimum, f"minimum of {policy.minimum}; {decision.reason}")
    return decision


def _told(policy: Policy, average: float, window: float) -> str:
    return f"{average:.1f} {_UNITS[policy.metric]} over {window:g} s, {policy.target:g} for each replica"
