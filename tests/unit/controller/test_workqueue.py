"""The queue of keys, its time an argument."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.workqueue import WorkQueue


def test_a_key_added_twice_is_handed_out_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in "aba":
        queue.add(key)
    assert [queue.take(0), queue.take(0), queue.take(0)] == ["a", "b", None]


def test_a_key_added_while_worked_on_comes_again_only_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert queue.take(0) == "a"
    queue.add("a")
    assert queue.take(0) is None
    queue.done("a")
    assert queue.take(0) == "a"


def test_the_pause_doubles_with_each_failure_and_is_forgotten_with_success() -> None:
    queue: WorkQueue[str] = WorkQueue(first=1.0, longest=5.0)
    queue.add("a")
    now, pauses = 0.0, []
    for _ in range(4):
        assert queue.take(now) == "a"
        pauses.append(queue.failed("a", now))
        assert (queue.take(now), queue.next_at()) == (None, now + pauses[-1])
        now += pauses[-1]
    assert pauses == [1.0, 2.0, 4.0, 5.0]
    assert queue.take(now) == "a"
    queue.done("a")
    queue.add("a")
    queue.take(now)
    assert queue.failed("a", now) == 1.0


def test_a_change_does_not_wait_for_the_pause() -> None:
    queue: WorkQueue[str] = WorkQueue(first=10.0)
    queue.add("a")
    queue.take(0)
    queue.failed("a", 0)
    queue.add("a")
    assert queue.take(0) == "a"
    queue.done("a")
    assert (queue.take(99), queue.next_at(), len(queue)) == (None, None, 0)


def test_of_several_times_the_earliest_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for at in (5.0, 3.0, 9.0):
        queue.add_at("a", at)
    assert queue.next_at() == 3.0
    assert [queue.take(2.9), queue.take(3.0)] == [None, "a"]
    queue.done("a")
    assert queue.take(100) is None


@given(st.lists(st.tuples(st.sampled_from(["add", "later", "take", "done", "failed"]), st.integers(0, 3), st.integers(0, 5))))
def test_no_key_is_lost_and_none_is_worked_on_twice(steps: list[tuple[str, int, int]]) -> None:
    ledger = Ledger()
    for step, key, seconds in steps:
        ledger.now += seconds
        getattr(ledger, step)(key)
    for key in ledger.working:
        ledger.queue.done(key)
    assert set(iter(lambda: ledger.queue.take(ledger.now + 1000), None)) == ledger.owed


class Ledger:
    """What a queue owes: every key that was added and not handed out since."""

    def __init__(self) -> None:
        self.queue: WorkQueue[int] = WorkQueue(first=1.0)
        self.now = 0.0
        self.working: set[int] = set()
        self.owed: set[int] = set()

    def add(self, key: int) -> None:
        self.queue.add(key)
        self.owed.add(key)

    def later(self, key: int) -> None:
        self.queue.add_at(key, self.now + key)
        self.owed.add(key)

    def take(self, _: int) -> None:
        key = self.queue.take(self.now)
        if key is not None:
            assert key not in self.working
            self.working.add(key)
            self.owed.discard(key)

    def done(self, key: int) -> None:
        if key in self.working:
            self.working.discard(key)
            self.queue.done(key)

    def failed(self, key: int) -> None:
        if key in self.working:
            self.working.discard(key)
            self.queue.failed(key, self.now)
            self.owed.add(key)
