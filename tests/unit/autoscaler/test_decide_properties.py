"""What holds for every policy, load and history."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.decide import Memory, decide
from autoscaler.model import RULES, Load, Policy

amounts = st.one_of(st.just(0.0), st.floats(0, 5000, allow_nan=False))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    minimum = draw(st.integers(0, 5))
    return Policy(
        minimum=minimum,
        maximum=draw(st.integers(max(1, minimum), 500)),
        target=draw(st.floats(0.1, 300)),
        max_up=draw(st.floats(1.1, 1000)),
        max_down=draw(st.floats(1.1, 10)),
        panic_threshold=draw(st.floats(1.1, 10)),
        idle_grace=draw(st.floats(0, 300)),
    )


loads = st.builds(
    Load,
    stable=amounts,
    panic=amounts,
    present=st.integers(0, 50),
    idle_for=st.floats(0, 600),
    complete=st.booleans(),
    ready=st.integers(0, 500),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Policy, list[tuple[float, Load]]]:
    gaps = draw(st.lists(st.floats(0.5, 40), min_size=1, max_size=8))
    now, steps = 1000.0, []
    for gap in gaps:
        now += gap
        steps.append((now, draw(loads)))
    return draw(policies()), steps


@given(histories())
def test_every_decision_keeps_the_rules(history: tuple[Policy, list[tuple[float, Load]]]) -> None:
    policy, steps = history
    memory = Memory()
    for now, load in steps:
        held = memory.held(load)
        decision, after = decide(policy, load, memory, now)
        count = decision.replicas
        assert policy.minimum <= count <= policy.maximum
        assert decision.rule in RULES
        if not load.complete:
            assert count >= min(held, policy.maximum), "down while samples are missing"
        if now < after.panic_until:
            assert count >= min(held, policy.maximum), "panic shrinks"
        if count == 0 and (held or load.ready):
            assert (load.present, load.complete) == (0, True)
            assert load.idle_for >= policy.idle_grace
        assert count <= max(held, policy.minimum, ceil(policy.max_up * max(1, load.ready)))
        if count < held and count < policy.maximum:
            assert count >= int(held / policy.max_down)
        assert after.wanted == count
        memory = after


@given(policies(), loads, st.floats(0, 1e6))
def test_the_same_arguments_give_the_same_answer(policy: Policy, load: Load, now: float) -> None:
    assert decide(policy, load, Memory(3), now) == decide(policy, load, Memory(3), now)


@given(policies(), loads)
def test_the_same_load_again_changes_nothing_once_it_is_fulfilled(policy: Policy, load: Load) -> None:
    memory = Memory()
    counts = []
    ready = load.ready
    for now in range(160):
        seen = Load(load.stable, load.stable, load.present, load.idle_for, load.complete, ready)
        decision, memory = decide(policy, seen, memory, float(now))
        ready = decision.replicas
        counts.append(ready)
    assert len(set(counts[-40:])) == 1, "flapping under a steady load"
