"""From a raw path or a Host to a route, and what follows when routes change."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest

from autoscaler.model import Policy, Sample
from router.gate import GO, UNLIMITED, WAIT
from router.live import Live, Revision
from router.meters import IN_FLIGHT, PAGE, Meters, read_functions
from router.model import Backend, Endpoint, Route, RouteKey, Settings
from router.slots import Need
from router.table import Table

HELLO = RouteKey("*", "default", "hello")
NOW = 100.0


def backend(revision: str, *addresses: str, weight: int = 100, draining: str = "") -> Backend:
    return Backend(revision, tuple(Endpoint(address, address in draining.split()) for address in addresses), weight)


def called(table: Table[str], *backends: Backend, concurrency: int = 0, key: RouteKey = HELLO) -> Live[str]:
    table.put(Route(key, backends, Settings(concurrency=concurrency)), NOW)
    live = table.get(key)
    assert live is not None
    table.begin(live, NOW)
    return live


def arrive(live: Live[str], waiter: str, share: float = 0.0) -> tuple[Revision[str], object]:
    revision = live.choose(share)
    assert revision is not None
    return revision, revision.gate.arrive(waiter, NOW, NOW + 60)


def test_routes_are_found_by_the_raw_bytes_of_name_and_project() -> None:
    table: Table[str] = Table()
    for key in (HELLO, RouteKey("*", "shop", "hello")):
        table.put(Route(key), NOW)
    assert table.names[b"hello"].route.key == HELLO
    assert table.names[b"hello.shop"].route.key.project == "shop"
    assert set(table.names) == {b"hello", b"hello.shop"}  # no second spelling: no "hello.default", no other case


def test_intercepted_routes_are_found_by_host_and_by_path() -> None:
    table: Table[str] = Table()
    table.put(Route(HELLO, hosts=("hello.ns", "hello.ns.svc")), NOW)
    for host in (b"hello.ns", b"HELLO.ns:80", b"hello.ns.svc.", b"hello.ns.svc.:8080"):
        assert table.match_host(host) is table.names[b"hello"]
    assert table.match_host(b"other.ns") is None
    table.put(Route(HELLO, hosts=("hello.ns",)), NOW)
    assert table.match_host(b"hello.ns.svc") is None
    table.remove(HELLO, NOW)
    assert (table.match_host(b"hello.ns"), len(table)) == (None, 0)


def test_an_ipv6_address_in_the_host_field_is_found_with_and_without_a_port() -> None:
    table: Table[str] = Table()
    table.put(Route(HELLO, hosts=("[fd00::9]", "10.96.0.9")), NOW)
    for host in (b"[fd00::9]", b"[FD00::9]:80", b"10.96.0.9", b"10.96.0.9:8080"):
        assert table.match_host(host) is table.names[b"hello"]
    for host in (b"[fd00::8]", b"[fd00:", b"fd00::9", b"", b":80"):
        assert table.match_host(host) is None


def test_a_route_of_one_host_is_not_found_by_path() -> None:
    table: Table[str] = Table()
    table.put(Route(RouteKey("Shop.Example", "default", "hello")), NOW)
    assert table.names == {}
    assert table.match_host(b"shop.example") is not None


def test_the_first_request_makes_gates_and_the_endpoints_let_it_go() -> None:
    live = called(Table(), backend("r1", "a", "b"))
    assert live.only is not None
    revision, answer = arrive(live, "x")
    assert answer is GO
    upstream = revision.take(Random(1).random, NOW)
    assert upstream is not None
    assert upstream.in_flight == 1
    assert revision.leave(upstream, NOW) is None
    assert (upstream.in_flight, live.present()) == (0, 0)


def test_endpoints_that_appear_let_the_waiters_go_in_order() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1"))
    assert [arrive(live, waiter)[1] for waiter in "abc"] == [WAIT] * 3
    assert live.cold()
    going = table.put(Route(HELLO, (backend("r1", "a"),)), NOW + 1)
    assert [one.waiter for one in going] == ["a", "b", "c"]
    assert not live.cold()


def test_the_hard_limit_is_the_sum_over_the_endpoints_that_take_requests() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1", "a", "b"), concurrency=2)
    assert [arrive(live, str(n))[1] for n in range(5)] == [GO] * 4 + [WAIT]
    going = table.put(Route(HELLO, (backend("r1", "a", "b", "c"),), Settings(concurrency=2)), NOW)
    assert [one.waiter for one in going] == ["4"]


def test_requests_at_an_endpoint_that_left_take_no_slot_of_those_that_stay() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1", "a", "b"), concurrency=1)
    revision, _ = arrive(live, "x")
    old = revision.take(Random(1).random, NOW)
    assert old is not None
    stays = "b" if old.address == "a" else "a"
    table.put(Route(HELLO, (backend("r1", stays),), Settings(concurrency=1)), NOW)
    assert arrive(live, "y")[1] is GO
    new = revision.take(Random(1).random, NOW)
    assert new is not None
    assert new.address == stays
    assert arrive(live, "z")[1] is WAIT
    assert revision.leave(old, NOW) is None  # it had no slot any more, so it gives none on
    assert revision.leave(new, NOW) == "z"
    assert live.in_flight("r1") == 1


def test_draining_endpoints_serve_when_nothing_else_is_left() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1", "a", "b", draining="a b"))
    revision, answer = arrive(live, "x")
    assert answer is GO
    assert revision.take(Random(1).random, NOW) is not None


def test_a_lowered_limit_is_reached_as_requests_end() -> None:
    live = called(Table(), backend("r1", "a"), concurrency=3)
    revision = live.only
    assert revision is not None
    taken = []
    for n in range(3):
        arrive(live, str(n))
        taken.append(revision.take(Random(1).random, NOW))
    assert live.grant("r1", {"a": 1}, NOW) == []
    assert arrive(live, "w")[1] is WAIT
    a = taken[0]
    assert a is not None
    assert [revision.leave(a, NOW) for _ in range(3)] == [None, None, "w"]


def test_slots_that_another_worker_gives_let_waiters_go() -> None:
    live = called(Table(), backend("r1", "a"), concurrency=1)
    live.grant("r1", {}, NOW)
    assert arrive(live, "w")[1] is WAIT
    going = live.grant("r1", {"a": 1}, NOW)
    assert [(one.waiter, one.revision) for one in going] == [("w", live.only)]
    assert live.grant("unknown", {"a": 1}, NOW) == []


def test_of_a_shared_limit_nothing_is_taken_but_what_was_granted_and_a_grant_outlives_the_description() -> None:
    table: Table[str] = Table()
    table.shared = True
    live = called(table, backend("r1", "a", "b"), concurrency=2)
    assert arrive(live, "w")[1] is WAIT
    assert not live.cold() and live.need("r1", NOW) == Need(0, {}, 1, NOW)  # there are slots, and others have them
    assert [one.waiter for one in live.grant("r1", {"a": 1, "b": 0}, NOW)] == ["w"]
    assert table.put(Route(HELLO, (backend("r1", "a", "b", "c"),), Settings(concurrency=2)), NOW) == []
    assert arrive(live, "x")[1] is WAIT
    assert live.grant("r1", {"c": 1}, NOW) == []  # w is still on its way, and a's limit was taken away
    assert [one.waiter for one in live.grant("r1", {"a": 1, "c": 1}, NOW)] == ["x"]
    table.put(Route(HELLO, (backend("r1", "a", "b", "c"),)), NOW)  # no limit: nothing to share
    assert arrive(live, "y")[1] is GO


def test_a_shared_limit_may_be_granted_before_the_first_request_and_a_revision_without_slots_keeps_its_weight() -> None:
    table: Table[str] = Table()
    table.shared = True
    table.put(Route(HELLO, (backend("r1", "a"), backend("r2", "b")), Settings(concurrency=1)), NOW)
    live = table.get(HELLO)
    assert live is not None
    live.grant("r1", {"a": 1}, NOW)
    table.begin(live, NOW)
    assert {revision.name: revision.gate.slots for revision in live.open} == {"r1": 1, "r2": 0}


def test_trying_another_endpoint_keeps_the_slot() -> None:
    live = called(Table(), backend("r1", "a", "b"), concurrency=1)
    revision, _ = arrive(live, "x")
    first = revision.take(Random(1).random, NOW)
    assert first is not None
    revision.untake(first)
    second = revision.take(Random(1).random, NOW, avoid=(first,))
    assert second is not first
    assert revision.gate.busy == 1


def test_a_request_moved_away_from_an_endpoint_that_left_has_a_slot_again() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1", "a"), concurrency=1)
    revision, _ = arrive(live, "x")
    old = revision.take(Random(1).random, NOW)
    assert old is not None
    table.put(Route(HELLO, (backend("r1", "b"),), Settings(concurrency=1)), NOW)
    assert revision.gate.busy == 0
    revision.untake(old)
    new = revision.take(Random(1).random, NOW)
    assert new is not None
    assert (revision.gate.busy, revision.gate.exempt) == (1, 0)
    revision.leave(new, NOW)
    assert live.present() == 0


def test_waiters_follow_the_weight_in_order() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1"))
    for waiter in "abc":
        arrive(live, waiter)
    going = table.put(Route(HELLO, (backend("r1", weight=0), backend("r2", "n"))), NOW + 1)
    assert [(one.waiter, one.revision.name) for one in going] == [("a", "r2"), ("b", "r2"), ("c", "r2")]
    assert live.only is not None
    assert live.only.name == "r2"


def test_waiters_before_a_cold_revision_go_to_one_that_is_ready() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1", weight=50), backend("r2", weight=50))
    assert [arrive(live, "a", 0.1)[0].name, arrive(live, "b", 0.9)[0].name] == ["r1", "r2"]
    going = table.put(Route(HELLO, (backend("r1", weight=50), backend("r2", "n", weight=50))), NOW + 1)
    assert sorted(one.waiter for one in going) == ["a", "b"]
    assert {one.revision.name for one in going} == {"r2"}


def test_a_ready_revision_is_chosen_before_a_cold_one_and_else_the_weights_count() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1", weight=90), backend("r2", "n", weight=10))
    assert live.choose(0.0) is live.only
    table.put(Route(HELLO, (backend("r1", "o", weight=90), backend("r2", "n", weight=10))), NOW)
    names = [revision.name for revision in (live.choose(n / 100) for n in range(100)) if revision]
    assert (names.count("r1"), names.count("r2")) == (90, 10)


def test_no_weight_at_all_is_no_revision() -> None:
    live = called(Table(), backend("r1", "a", weight=0))
    assert live.choose(0.5) is None


def test_a_revision_that_left_is_kept_until_its_last_request_ended() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1", "a"))
    revision, _ = arrive(live, "tunnel")
    upstream = revision.take(Random(1).random, NOW)
    assert upstream is not None
    table.put(Route(HELLO, (backend("r2", "b"),)), NOW)
    assert (table.in_flight(HELLO, "r1"), table.in_flight(HELLO, "r1", "a"), table.in_flight(HELLO, "r1", "b")) == (1, 1, 0)
    revision.leave(upstream, NOW)
    table.put(Route(HELLO, (backend("r2", "b"),)), NOW)
    assert set(live.revisions or {}) == {"r2"}


def test_a_removed_route_gives_back_its_waiters_and_still_counts_what_is_in_flight() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1", "a"), concurrency=1)
    revision, _ = arrive(live, "x")
    upstream = revision.take(Random(1).random, NOW)
    assert upstream is not None
    assert [arrive(live, waiter)[1] for waiter in "bc"] == [WAIT, WAIT]
    assert table.remove(HELLO, NOW) == ["b", "c"]
    assert table.names == {}
    assert table.in_flight(HELLO, "r1") == 1
    table.put(Route(HELLO, (backend("r1", "a"),), Settings(concurrency=1)), NOW)
    assert table.names[b"hello"] is live
    assert arrive(live, "d")[1] is WAIT  # the limit holds over removal and return
    assert revision.leave(upstream, NOW) == "d"
    assert table.remove(RouteKey("*", "default", "unknown"), NOW) == []


def test_late_waiters_are_given_back() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1"))
    arrive(live, "x")
    assert live.expire(NOW + 59) == []
    assert live.expire(NOW + 60) == ["x"]


def test_the_sample_is_over_all_revisions() -> None:
    live = called(Table(), backend("r1", "a", weight=1), backend("r2", "b", weight=1))
    arrive(live, "x", 0.0)
    arrive(live, "y", 0.9)
    sample = live.sample(NOW + 1)
    assert sample is not None
    assert (sample.concurrency, sample.requests, sample.present) == (pytest.approx(2.0), 2, 2)


def test_idle_routes_are_left_out_of_the_samples_and_their_rows_are_told_once() -> None:
    table: Table[str] = Table()
    buffer = memoryview(bytearray(4 * PAGE))
    live = called(table, backend("r1", "a"))
    live.row = Meters(buffer).open("hello")
    revision, _ = arrive(live, "x")
    upstream = revision.take(Random(1).random, NOW)
    assert upstream is not None
    assert table.sample(NOW + 1) == {HELLO: Sample(NOW + 1, 1.0, 1, 1)}
    assert read_functions(buffer)["hello"][IN_FLIGHT] == 1
    revision.leave(upstream, NOW + 1.5)
    assert table.sample(NOW + 2) == {HELLO: Sample(NOW + 2, 0.5, 0, 0)}
    assert table.sample(NOW + 3) == {}
    assert read_functions(buffer)["hello"][IN_FLIGHT : IN_FLIGHT + 3] == (0, 0, 1_500_000)
    assert table.sample(NOW + 9) == {} and live.row is None and not table.called  # it rests
    table.begin(live, NOW + 9.5)
    assert live.row is not None
    revision.gate.arrive("y", NOW + 9.5, NOW + 60)
    assert table.sample(NOW + 10) == {HELLO: Sample(NOW + 10, 0.5, 1, 1)}  # averaged over this second, not over the idle ones


def test_bounds_of_the_queue_follow_the_settings() -> None:
    table: Table[str] = Table()
    live = called(table, backend("r1"))
    table.put(Route(HELLO, (backend("r1"),), Settings(queue_limit=1)), NOW)
    assert arrive(live, "a")[1] is WAIT
    assert arrive(live, "b")[1] is not WAIT


def many(count: int) -> Table[str]:
    table: Table[str] = Table()
    for n in range(count):
        key = RouteKey("*", "default", f"function-{n}")
        # Every part is an object of its own, as it is when decoded from the control process.
        settings, policy = Settings(timeout=float(n)), Policy(target=float(n + 1))
        table.put(Route(key, (backend(f"function-{n}-00001", f"10.{n >> 8}.{n & 255}.1:8080"),), settings, policy), NOW)
    return table


def test_a_route_that_was_never_called_takes_at_most_two_kib() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        table = many(1000)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(table) == 1000
    assert used / 1000 <= 2048


def test_a_delta_leaves_every_other_entry_alone() -> None:
    table = many(100)
    before = dict(table.names)
    names = table.names
    table.put(Route(RouteKey("*", "default", "function-7"), (backend("r2", "x"),)), NOW)
    assert table.names is names
    assert all(table.names[name] is live for name, live in before.items())


def test_unlimited_endpoints_add_up_to_unlimited() -> None:
    live = called(Table(), backend("r1", "a", "b", "c"))
    assert live.only is not None
    assert live.only.gate.slots == UNLIMITED
