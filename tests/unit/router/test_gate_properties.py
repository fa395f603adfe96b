"""What holds at a gate whatever happens, by state machine against a plain model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.gate import GO, WAIT, Gate
from router.room import Room


class Waiter:
    """Someone who waits, as the model remembers it."""

    def __init__(self, number: int, since: float, deadline: float, held: int) -> None:
        self.number, self.since, self.deadline, self.held = number, since, deadline, held

    def __repr__(self) -> str:
        return f"w{self.number}"


class GateMachine(RuleBasedStateMachine):
    """Two gates with one room; the model is two lists of waiters in order and two counts of those who go."""

    @initialize(most=st.integers(0, 6), most_bytes=st.integers(0, 60))
    def start(self, most: int, most_bytes: int) -> None:
        self.now = 1000.0
        self.room = Room(most, most_bytes)
        self.gates: list[Gate[Waiter]] = [Gate(self.now, 0, self.room) for _ in range(2)]
        self.going = [0, 0]
        self.queues: list[list[Waiter]] = [[], []]
        self.area = [0.0, 0.0]
        self.since = [self.now, self.now]
        self.count = 0

    def pass_time(self, seconds: float) -> None:
        for n in range(2):
            self.area[n] += (self.going[n] + len(self.queues[n])) * seconds
        self.now += seconds

    def expect(self, n: int, came: list[Waiter]) -> None:
        """Those who were let go are the oldest ones in time, in order."""
        timely = [waiter for waiter in self.queues[n] if waiter.deadline > self.now]
        assert came == timely[: len(came)]
        self.queues[n] = [waiter for waiter in self.queues[n] if waiter not in came]
        self.going[n] += len(came)

    which = st.integers(0, 1)

    @rule(seconds=st.floats(0.001, 30))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(n=which, patience=st.floats(0.1, 60), held=st.integers(0, 30))
    def arrive(self, n: int, patience: float, held: int) -> None:
        self.count += 1
        waiter = Waiter(self.count, self.now, self.now + patience, held)
        free = self.going[n] < self.gates[n].slots
        fits = not self.room.most_bytes or self.room.held + held <= self.room.most_bytes
        answer = self.gates[n].arrive(waiter, self.now, waiter.deadline, held)
        assert (answer is GO) == free
        assert fits or answer is not WAIT
        if answer is GO:
            self.going[n] += 1
        elif answer is WAIT:
            self.queues[n].append(waiter)
        else:
            assert answer.retry_after >= 1

    @precondition(lambda self: any(self.going))
    @rule(n=which)
    def leave(self, n: int) -> None:
        if self.going[n]:
            waiter = self.gates[n].leave(self.now)
            self.going[n] -= 1
            self.expect(n, [] if waiter is None else [waiter])

    @rule(n=which, slots=st.integers(0, 4))
    def resize(self, n: int, slots: int) -> None:
        self.expect(n, self.gates[n].resize(slots, self.now))

    @precondition(lambda self: any(self.queues))
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from([waiter for queue in self.queues for waiter in queue]))
        here = int(waiter in self.queues[1])
        assert self.gates[here].abandon(waiter, self.now)
        assert not self.gates[here].abandon(waiter, self.now)
        self.queues[here].remove(waiter)

    @precondition(lambda self: any(self.queues))
    @rule(data=st.data(), size=st.integers(0, 20))
    def grow(self, data: st.DataObject, size: int) -> None:
        waiter = data.draw(st.sampled_from([waiter for queue in self.queues for waiter in queue]))
        fits = not self.room.most_bytes or self.room.held + size <= self.room.most_bytes
        assert self.gates[int(waiter in self.queues[1])].grow(waiter, size) == fits
        waiter.held += size

    @rule(n=which)
    def expire(self, n: int) -> None:
        late = self.gates[n].expire(self.now)
        assert late == [waiter for waiter in self.queues[n] if waiter.deadline <= self.now]
        self.queues[n] = [waiter for waiter in self.queues[n] if waiter not in late]

    @rule(n=which)
    def evict(self, n: int) -> None:
        tickets = self.gates[n].evict(self.now)
        assert [ticket.waiter for ticket in tickets] == self.queues[n]
        assert all((ticket.deadline, ticket.held) == (ticket.waiter.deadline, ticket.waiter.held) for ticket in tickets)
        went = self.gates[1 - n].admit(tickets, self.now)
        self.queues[1 - n] = sorted(self.queues[1 - n] + self.queues[n], key=lambda waiter: waiter.since)
        self.queues[n] = []
        self.expect(1 - n, went)

    @rule(n=which)
    def sample(self, n: int) -> None:
        load = self.gates[n].sample(self.now)
        assert (load.busy, load.waiting) == (self.going[n], len(self.queues[n]))
        if load.seconds > 0:
            assert load.concurrency == pytest.approx(self.area[n] / (self.now - self.since[n]), abs=1e-6)
            self.area[n], self.since[n] = 0.0, self.now

    @invariant()
    def counts_agree(self) -> None:
        for n, gate in enumerate(self.gates):
            assert (gate.busy, gate.waiting) == (self.going[n], len(self.queues[n]))
            assert list(gate.queue) == self.queues[n]
        waiting = [waiter for queue in self.queues for waiter in queue]
        assert self.room.waiting == len(waiting)
        assert self.room.held == sum(waiter.held for waiter in waiting)

    @invariant()
    def the_bound_holds(self) -> None:
        assert not self.room.most or self.room.waiting <= self.room.most

    @invariant()
    def nobody_waits_next_to_a_free_slot(self) -> None:
        for gate, queue in zip(self.gates, self.queues, strict=True):
            if gate.busy < gate.slots:
                assert all(waiter.deadline <= self.now for waiter in queue)

    def teardown(self) -> None:
        """Counts return to zero when everyone has left."""
        if not hasattr(self, "gates"):
            return
        for n, gate in enumerate(self.gates):
            gate.resize(1000, self.now)
            gate.expire(self.now)
            while gate.busy:
                gate.leave(self.now)
            assert (gate.present, len(gate.queue)) == (0, 0), n
        assert (self.room.waiting, self.room.held) == (0, 0)


TestGate = GateMachine.TestCase
TestGate.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
