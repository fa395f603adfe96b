"""What holds for a live route whatever its source tells, by state machine: gates, endpoints and limits stay in step."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.balance import Upstream
from router.gate import GO, WAIT
from router.live import Going, Live, Revision
from router.model import Backend, Endpoint, Route, RouteKey, Settings
from router.table import Table

HELLO = RouteKey("*", "default", "hello")
endpoints = st.dictionaries(st.sampled_from("abcd"), st.booleans(), max_size=4)
backends = st.dictionaries(st.sampled_from(["r1", "r2", "r3"]), st.tuples(endpoints, st.sampled_from([0, 10, 90])), min_size=1)


class LiveMachine(RuleBasedStateMachine):
    """Requests come and go at one route while its revisions, endpoints, weights and limits change under them."""

    @initialize(described=backends, limit=st.sampled_from([0, 1, 2]), seed=st.integers(0, 9))
    def start(self, described: dict[str, tuple[dict[str, bool], int]], limit: int, seed: int) -> None:
        self.now, self.number, self.limit = 1000.0, 0, limit
        self.random = Random(seed).random
        self.table: Table[int] = Table()
        self.flying: list[tuple[Revision[int], Upstream]] = []
        self.waiting: list[int] = []  # in order
        self.describe(described)
        live = self.table.get(HELLO)
        assert live is not None
        self.live: Live[int] = live
        self.table.begin(live, self.now)

    def describe(self, described: dict[str, tuple[dict[str, bool], int]]) -> None:
        parts = (
            Backend(name, tuple(Endpoint(address, draining) for address, draining in at.items()), weight)
            for name, (at, weight) in described.items()
        )
        self.go(self.table.put(Route(HELLO, tuple(parts), Settings(concurrency=self.limit)), self.now))

    def go(self, going: list[Going[int]]) -> None:
        """Each one that was let go finds an endpoint below its limit."""
        for waiter, revision in going:
            self.waiting.remove(waiter)
            upstream = revision.take(self.random, self.now)
            assert upstream is not None
            assert upstream.in_flight <= upstream.limit
            self.flying.append((revision, upstream))

    @rule(described=backends, limit=st.sampled_from([0, 1, 2]))
    def change(self, described: dict[str, tuple[dict[str, bool], int]], limit: int) -> None:
        self.limit = limit
        self.describe(described)

    @rule(share=st.floats(0, 0.999))
    def arrive(self, share: float) -> None:
        self.now += 0.01
        revision = self.live.choose(share)
        if revision is None:
            assert not any(backend.weight for backend in self.live.route.backends)
            return
        self.number += 1
        answer = revision.gate.arrive(self.number, self.now, self.now + 1e6)
        assert answer in (GO, WAIT)
        self.waiting.append(self.number)
        if answer is GO:
            self.go([Going(self.number, revision)])

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.now += 0.01
        revision, upstream = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        waiter = revision.leave(upstream, self.now)
        if waiter is not None:
            self.go([Going(waiter, revision)])

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        n = data.draw(st.integers(0, len(self.flying) - 1))
        revision, upstream = self.flying[n]
        if upstream.in_flight <= upstream.limit:  # else its endpoint left: it has no slot to take elsewhere
            revision.untake(upstream)
            another = revision.take(self.random, self.now, avoid=(upstream,))
            assert another is not None
            self.flying[n] = (revision, another)

    @invariant()
    def counts_agree(self) -> None:
        revisions = (self.live.revisions or {}).values()
        assert sum(revision.gate.busy + revision.gate.exempt for revision in revisions) == len(self.flying)
        assert sum(revision.gate.waiting for revision in revisions) == len(self.waiting)
        for revision in revisions:
            mine = [upstream for known, upstream in self.flying if known is revision]
            assert sum(upstream.in_flight for upstream in revision.upstreams.all.values()) == len(mine)
            over = sum(max(0, upstream.in_flight - upstream.limit) for upstream in set(mine))
            assert revision.gate.exempt == over

    @invariant()
    def nobody_waits_next_to_a_free_place(self) -> None:
        for revision in self.live.open:
            free = any(upstream.in_flight < upstream.limit for upstream in revision.upstreams.ready)
            assert not (free and revision.gate.waiting)

    @invariant()
    def nobody_waits_before_a_revision_that_takes_nothing_while_another_does(self) -> None:
        for revision in (self.live.revisions or {}).values():
            assert not revision.gate.waiting or revision in self.live.open or not self.live.open

    @invariant()
    def everyone_is_in_order(self) -> None:
        for revision in (self.live.revisions or {}).values():
            assert list(revision.gate.queue) == sorted(revision.gate.queue)

    def teardown(self) -> None:
        """Counts return to zero when the route goes and everyone leaves."""
        if not hasattr(self, "live"):
            return
        assert self.table.remove(HELLO, self.now) == self.waiting
        for revision, upstream in self.flying:
            assert revision.leave(upstream, self.now) is None
        assert self.live.present() == 0
        assert self.live.room is not None
        assert (self.live.room.waiting, self.live.room.held) == (0, 0)


TestLive = LiveMachine.TestCase
TestLive.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
