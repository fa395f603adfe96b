"""Which endpoint and which revision take a request."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from router.balance import RETRY_FLOOR, STALE, RetryBudget, Upstreams, choose, share_of
from router.gate import UNLIMITED
from router.model import Endpoint

addresses = st.lists(st.integers(1, 250), min_size=1, max_size=12, unique=True)


def fleet(*names: str, limit: int = UNLIMITED, draining: str = "", connect: float = 2.0) -> Upstreams:
    upstreams = Upstreams(connect)
    upstreams.replace([Endpoint(name, name in draining.split()) for name in names])
    for upstream in upstreams.ready:
        upstream.limit = limit
    return upstreams


def test_the_only_endpoint_is_taken_without_asking_for_randomness() -> None:
    def forbidden() -> float:
        raise AssertionError("one endpoint needs no choice")

    picked = fleet("a").pick(forbidden, 0.0)
    assert picked is not None
    assert picked.address == "a"


def test_no_endpoint_is_no_answer() -> None:
    assert Upstreams().pick(Random(1).random, 0.0) is None
    assert Upstreams().pick_sticky(b"x", 0.0) is None


def test_the_less_busy_of_two_random_choices_is_taken() -> None:
    upstreams = fleet("a", "b")
    upstreams.all["a"].in_flight = 5
    numbers = iter((0.0, 0.9))
    picked = upstreams.pick(lambda: next(numbers), 0.0)
    assert picked is upstreams.all["b"]


def test_load_is_spread_evenly() -> None:
    upstreams = fleet(*"abcdefgh")
    random = Random(7).random
    for _ in range(800):
        picked = upstreams.pick(random, 0.0)
        assert picked is not None
        picked.in_flight += 1
    counts = [upstream.in_flight for upstream in upstreams.ready]
    assert max(counts) - min(counts) <= 8  # one random choice alone leaves about 50 between them


def test_a_full_endpoint_is_never_taken_and_the_last_free_slot_is_always_found() -> None:
    upstreams = fleet("a", "b", "c", limit=2)
    random = Random(3).random
    for _ in range(6):
        picked = upstreams.pick(random, 0.0)
        assert picked is not None
        picked.in_flight += 1
    assert upstreams.pick(random, 0.0) is None
    assert {upstream.in_flight for upstream in upstreams.ready} == {2}


def test_a_suspect_is_avoided_for_a_while_and_then_tried_by_one_request() -> None:
    upstreams = fleet("a", "b")
    a, b = upstreams.ready
    random = Random(5).random
    upstreams.suspect(a, now=10.0)
    assert {upstreams.pick(random, 11.9) for _ in range(50)} == {b}
    assert Counter(id(upstreams.pick(random, 12.0)) for _ in range(50)) == {id(a): 1, id(b): 49}


def test_the_time_of_a_suspect_doubles_with_each_failed_trial_up_to_a_limit() -> None:
    upstreams = fleet("a", "b")
    a, now, random = upstreams.all["a"], 10.0, Random(5).random
    upstreams.suspect(a, now)
    waits = []
    for _ in range(7):
        waits.append(a.suspect_until - now)
        now = a.suspect_until
        assert a in {upstreams.pick(random, now) for _ in range(50)}
        upstreams.suspect(a, now)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 32.0, 32.0]


def test_connections_that_fail_at_about_the_same_time_are_one_failure() -> None:
    upstreams = fleet("a", "b")
    a = upstreams.all["a"]
    for late in range(20):
        upstreams.suspect(a, 10.0 + late / 20)
    assert (a.suspect_until, a.strikes) == (12.0, 1)


def test_a_trial_of_which_nothing_is_heard_is_followed_by_another() -> None:
    upstreams = fleet("a", "b")
    a, random = upstreams.all["a"], Random(5).random
    upstreams.suspect(a, 10.0)
    for now in (12.0, 17.0, 22.0):
        assert Counter(upstreams.pick(random, now) is a for _ in range(50))[True] == 1


def test_a_trial_lasts_longer_than_connecting_may_take() -> None:
    upstreams = fleet("a", "b", connect=20.0)
    a, random = upstreams.all["a"], Random(5).random
    upstreams.suspect(a, 10.0)
    for now, trials in ((12.0, 1), (32.1, 0), (35.0, 1)):
        assert Counter(upstreams.pick(random, now) is a for _ in range(50))[True] == trials


def silent(upstreams: Upstreams, address: str, now: float, rounds: int) -> float:
    """So many attempts to connect in a row, as early as they are made, that nothing is heard of; returns the time after them."""
    upstream, random = upstreams.all[address], Random(5).random
    for _ in range(rounds):
        now = max(now, upstream.suspect_until)
        assert not upstream.suspect_until or upstream in {upstreams.pick(random, now) for _ in range(50)}
        now += 2.0
        upstreams.suspect(upstream, now, silent=True)
    return now


def test_an_endpoint_that_nothing_is_heard_of_three_times_in_a_row_is_unreachable_after_twelve_seconds() -> None:
    upstreams = fleet("a", "b")
    assert upstreams.unreachable(10.0) == []
    now = silent(upstreams, "a", 10.0, 2)
    assert upstreams.unreachable(now) == []
    now = silent(upstreams, "a", now, 1)
    assert (now, upstreams.unreachable(now)) == (22.0, ["a"])


def test_it_stays_unreachable_while_it_is_tried_and_not_for_long_when_nobody_does() -> None:
    upstreams = fleet("a", "b")
    now = silent(upstreams, "a", 10.0, 6)
    assert upstreams.unreachable(now + 32.0) == ["a"]
    assert upstreams.unreachable(now + 32.0 + STALE) == []
    silent(upstreams, "a", now + 600.0, 1)
    assert upstreams.unreachable(now + 602.0) == ["a"]


def test_a_connection_makes_it_reachable_at_once_and_so_does_a_refusal() -> None:
    def connected(them: Upstreams) -> None:
        them.trust(them.all["a"])

    def refused(them: Upstreams) -> None:
        them.suspect(them.all["a"], 23.0)

    for heard in (connected, refused):
        upstreams = fleet("a", "b")
        silent(upstreams, "a", 10.0, 3)
        heard(upstreams)
        assert upstreams.unreachable(23.0) == []
        silent(upstreams, "a", 100.0, 2)
        assert upstreams.unreachable(200.0) == []


def test_one_that_refuses_is_never_unreachable() -> None:
    upstreams = fleet("a", "b")
    for now in range(10, 200):
        upstreams.pick(Random(now).random, float(now))
        upstreams.suspect(upstreams.all["a"], float(now))
    assert upstreams.all["a"].strikes > 3 and upstreams.unreachable(200.0) == []


def test_one_that_left_is_not_unreachable_any_more() -> None:
    upstreams = fleet("a", "b")
    now = silent(upstreams, "a", 10.0, 3)
    upstreams.all["a"].in_flight = 1
    upstreams.replace([Endpoint("b")])
    assert upstreams.unreachable(now) == []


def test_an_endpoint_that_answers_is_trusted_again() -> None:
    upstreams = fleet("a", "b")
    upstreams.suspect(upstreams.all["a"], now=10.0)
    upstreams.trust(upstreams.all["a"])
    assert upstreams.all["a"].strikes == 0
    assert {upstreams.pick(Random(n).random, 10.1) for n in range(50)} == set(upstreams.ready)


def test_suspects_are_taken_when_all_are() -> None:
    upstreams = fleet("a", "b")
    for upstream in upstreams.ready:
        upstreams.suspect(upstream, now=10.0)
    assert upstreams.pick(Random(1).random, 10.5) is not None


def test_a_second_try_goes_to_another_endpoint_first() -> None:
    upstreams = fleet("a", "b")
    a, b = upstreams.ready
    assert {upstreams.pick(Random(n).random, 0.0, [a]) for n in range(30)} == {b}
    assert fleet("a").pick(Random(1).random, 0.0, [a]) is not None


def test_a_second_try_prefers_an_untried_suspect_to_the_endpoint_that_just_failed() -> None:
    upstreams = fleet("a", "b")
    a, b = upstreams.ready
    upstreams.suspect(b, 0.0)
    assert upstreams.pick(Random(1).random, 0.5, [a]) is b


def test_draining_endpoints_are_taken_only_when_nothing_else_is_left() -> None:
    assert [upstream.address for upstream in fleet("a", "b", draining="a").ready] == ["b"]
    assert [upstream.address for upstream in fleet("a", "b", draining="a b").ready] == ["a", "b"]


def test_replacing_keeps_what_is_known() -> None:
    upstreams = fleet("a", "b")
    a, b = upstreams.ready
    a.in_flight = 3
    upstreams.replace([Endpoint("a"), Endpoint("c")])
    assert b.gone
    assert upstreams.all["a"] is a
    assert [upstream.address for upstream in upstreams.ready] == ["a", "c"]


def test_an_endpoint_that_left_is_kept_while_requests_are_in_flight_and_is_the_same_when_it_returns() -> None:
    upstreams = fleet("a", "b")
    a, b = upstreams.ready
    a.in_flight = 1
    upstreams.replace([])
    assert upstreams.all == {"a": a}
    assert (a.gone, b.gone, upstreams.ready) == (True, True, [])
    upstreams.replace([Endpoint("a"), Endpoint("b")])
    assert upstreams.ready[0] is a
    assert upstreams.ready[1] is not b
    assert not a.gone


@given(addresses, st.data())
def test_a_sticky_value_moves_only_when_its_own_endpoint_goes(numbers: list[int], data: st.DataObject) -> None:
    names = [f"10.0.0.{n}:8080" for n in numbers]
    upstreams = fleet(*names)
    values = [str(n).encode() for n in range(40)]
    before = {value: upstreams.pick_sticky(value, 0.0) for value in values}
    gone = data.draw(st.sampled_from(names))
    upstreams.replace([Endpoint(name) for name in names if name != gone])
    for value, upstream in before.items():
        assert upstream is not None
        if upstream.address != gone:
            assert upstreams.pick_sticky(value, 0.0) is upstream


def test_sticky_values_are_spread_evenly() -> None:
    upstreams = fleet(*(f"10.0.0.{n}:8080" for n in range(8)))
    counts = Counter(upstreams.pick_sticky(str(n).encode(), 0.0) for n in range(4000))
    assert len(counts) == 8
    assert all(400 <= count <= 600 for count in counts.values())


def test_a_sticky_value_takes_its_second_choice_while_the_first_is_full_or_suspected() -> None:
    upstreams = fleet("a", "b", "c", limit=1)
    first = upstreams.pick_sticky(b"session", 0.0)
    assert first is not None
    first.in_flight = 1
    second = upstreams.pick_sticky(b"session", 0.0)
    assert second is not first
    first.in_flight = 0
    upstreams.suspect(first, 0.0)
    assert upstreams.pick_sticky(b"session", 1.0) is second
    assert upstreams.pick_sticky(b"session", 9.0) is first


@dataclass
class Share:
    weight: int


def test_revisions_get_their_weights_share() -> None:
    old, new, off = Share(90), Share(10), Share(0)
    counts = Counter(id(choose([old, off, new], n / 1000)) for n in range(1000))
    assert counts == {id(old): 900, id(new): 100}
    assert choose([off], 0.5) is None
    assert choose([], 0.5) is None


def test_a_sticky_clients_share_is_stable_and_uniform() -> None:
    shares = [share_of(str(n).encode()) for n in range(2000)]
    assert shares[7] == share_of(b"7")
    assert all(0 <= share < 1 for share in shares)
    assert 850 <= sum(share < 0.5 for share in shares) <= 1150


def test_the_retry_budget_is_a_floor_and_a_share_of_the_first_sends() -> None:
    budget = RetryBudget(0.0)
    assert sum(budget.spend(0, 0.0) for _ in range(100)) == RETRY_FLOOR
    assert sum(budget.spend(0, 0.5) for _ in range(100)) == 5
    assert sum(budget.spend(200, 0.5) for _ in range(100)) == 40


def test_what_the_retry_budget_saves_up_is_bounded() -> None:
    budget = RetryBudget(0.0)
    assert sum(budget.spend(10**6, 3600.0) for _ in range(1000)) == 100
