"""How workers share a hard limit: examples, and what holds whatever happens."""

from __future__ import annotations

from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.slots import FAVOUR, Need, Slots
from tests.unit.router.slots_world import World

ADDRESSES = ("a", "b")
Step = tuple[str, int, str]
USUAL = ["arrive"] * 3 + ["finish"] * 3 + ["deliver"] * 8
STEPS = st.integers(0, 1 << 32).map(lambda seed: course(Random(seed), [*USUAL, "kill", "hire"]))
LIMITED = st.integers(0, 1 << 32).map(lambda seed: course(Random(seed), [*USUAL, "limit"]))


def course(random: Random, what: list[str]) -> list[Step]:
    """A long course of events; Hypothesis' own lists are too short for a slot to go round."""
    return [(random.choice(what), random.randrange(6), random.choice(ADDRESSES)) for _ in range(random.randrange(300))]


def step(world: World, what: str, number: int, address: str) -> None:
    """One thing that may happen."""
    names = sorted(world.workers)
    name = names[number % len(names)]
    worker = world.workers[name]
    world.now += 0.001
    match what:
        case "arrive":
            worker.arrive(world.now)
        case "finish" if worker.in_flight.get(address):
            worker.finish(address)
        case "deliver":
            world.deliver(name)
        case "kill" if len(names) > 1:
            world.kill(name)
        case "hire":
            fresh = next(letter for letter in "pqrstuvwxyz0123456789" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 4 if letter not in names)
            world.workers[fresh] = type(worker)(world.now)
        case "limit":
            world.limit({address: number} if number % 2 else {"a": number // 2, "b": 1})


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_no_address_has_more_in_flight_than_its_limit_and_nobody_waits_beside_a_free_slot(steps: list[Step]) -> None:
    world = World("xyz", {"a": 2, "b": 1})
    for each in steps:
        step(world, *each)
        assert all(world.in_flight(address) <= limit for address, limit in world.limits.items())
        assert all(count <= world.limits[address] for address, count in world.slots.held().items() if count)
    world.settle()
    free = sum(limit - world.in_flight(address) for address, limit in world.limits.items())
    assert not (world.waiting() and free)


@settings(max_examples=100, deadline=None)
@given(LIMITED)
@example(course(Random(100629), [*USUAL, "limit"]))  # an address with more in flight than its new limit, in every worker
def test_a_limit_that_changes_is_never_passed_by_requests_that_begin_after_the_last_of_its_loans_was_taken_back(
    steps: list[Step],
) -> None:
    world = World("xyz", {"a": 2, "b": 1})
    held = dict(world.limits)
    for each in steps:
        step(world, *each)
        for address in ADDRESSES:
            now = world.slots.held().get(address, 0)
            assert now <= max(world.limits.get(address, 0), held.get(address, 0))  # it grows into a limit only
            assert world.in_flight(address) <= now
            held[address] = now
    world.settle()
    free = sum(max(0, limit - world.in_flight(address)) for address, limit in world.limits.items())
    assert not (world.waiting() and free)


def settled(names: str, **limits: int) -> World:
    world = World(names, limits)
    for worker in world.workers.values():
        worker.arrive(world.now)
    world.settle()
    return world


def test_the_first_request_gets_a_slot_once_every_worker_said_what_it_has() -> None:
    world = World("xy", {"a": 1})
    world.workers["x"].arrive(world.now)
    world.settle()
    assert world.workers["x"].in_flight == {"a": 1}


def test_a_slot_stays_where_the_load_is_and_costs_no_message() -> None:
    world = World("xy", {"a": 1})
    world.workers["x"].arrive(world.now)
    world.settle()
    before = world.moved
    for _ in range(100):
        world.now += 0.01
        world.workers["x"].arrive(world.now)
        world.workers["x"].finish("a")
        world.settle()
    assert world.moved == before


def test_a_slot_that_idles_goes_to_who_waits() -> None:
    world = World("xy", {"a": 1})
    world.workers["x"].arrive(world.now)
    world.settle()
    world.workers["x"].finish("a")
    world.workers["y"].arrive(world.now)
    world.settle()
    assert world.workers["y"].in_flight == {"a": 1} and world.workers["x"].limits == {}


def test_between_two_that_wait_the_slot_goes_to_who_waits_longer() -> None:
    world = settled("xy", a=1)
    served = []
    for name in "xyxyxy":
        world.now += 2 * FAVOUR
        world.workers[name].arrive(world.now)
    world.settle()
    while world.waiting():
        world.now += 0.01
        for name, worker in world.workers.items():
            if worker.in_flight.get("a"):
                served.append(name)
                worker.finish("a")
                break
        world.settle()
    assert [served.count(name) for name in "xy"] == [4, 3] or [served.count(name) for name in "xy"] == [3, 4]
    assert not any(served[n] == served[n + 1] == served[n + 2] for n in range(len(served) - 2))


def test_many_waiters_get_many_slots() -> None:
    slots: Slots[str] = Slots("xy")
    slots.limit({"a": 10})
    for name, waiting in (("x", 80), ("y", 20)):
        slots.say(name, Need(0, {}, waiting, 999.0))
    lent = {name: sum(loan.limits.values()) for name, loan in slots.moves(1000.0)}
    assert lent == {"x": 8, "y": 2}


def test_what_nobody_waits_for_stays_spread_so_that_a_burst_finds_some() -> None:
    slots: Slots[str] = Slots("xy")
    slots.limit({"a": 4, "b": 4})
    for name in "xy":
        slots.say(name, Need())
    lent = {name: sum(loan.limits.values()) for name, loan in slots.moves(1000.0)}
    assert lent == {"x": 4, "y": 4}


def test_a_dead_workers_slots_come_back_at_once() -> None:
    world = World("xy", {"a": 1})
    world.workers["x"].arrive(world.now)
    world.settle()
    world.workers["y"].arrive(world.now)
    world.settle()
    assert world.waiting() == 1
    world.kill("x")
    world.settle()
    assert world.workers["y"].in_flight == {"a": 1}


def test_a_lowered_limit_is_reached_as_requests_end_and_not_passed_again() -> None:
    world = World("xy", {"a": 4})
    for name in "xxyy":
        world.workers[name].arrive(world.now)
    world.settle()
    world.limit({"a": 1})
    world.workers["x"].arrive(world.now)
    world.settle()
    assert world.in_flight("a") == 4
    for name in "xyyx":
        if world.workers[name].in_flight.get("a"):
            world.workers[name].finish("a")
            world.settle()
    assert world.in_flight("a") <= 1 and sum(world.slots.held().values()) <= 1


def test_nothing_is_lent_before_every_worker_has_said_what_it_has_in_flight() -> None:
    slots: Slots[str] = Slots("xy")
    slots.limit({"a": 1})
    slots.say("x", Need(0, {}, 1, 999.0))
    ((asked, question),) = slots.moves(1000.0)
    assert (asked, question.limits) == ("y", {})
    slots.say("y", Need(question.number, {"a": 1}))
    assert all(not loan.limits for _, loan in slots.moves(1000.0))
    slots.say("y", Need(question.number, {}))
    assert [(name, loan.limits) for name, loan in slots.moves(1000.0) if loan.limits] == [("x", {"a": 1})]


def test_while_two_want_one_slot_each_tells_of_every_change_and_then_no_more() -> None:
    world = settled("xy", a=1)
    assert all(worker.watch for worker in world.workers.values())
    for _ in range(2):
        holder = next(worker for worker in world.workers.values() if worker.in_flight.get("a"))
        holder.finish("a")
        world.settle()
    assert not any(worker.watch for worker in world.workers.values())


def test_a_slot_does_not_go_to_and_fro_for_a_few_milliseconds() -> None:
    world = settled("xy", a=1)
    for number in range(40):
        world.now += FAVOUR / 5
        world.workers["xy"[number % 2]].arrive(world.now)
    world.settle()
    before, moves = 0, 0
    while world.waiting():
        name = next(name for name, worker in world.workers.items() if worker.in_flight.get("a"))
        moves += name != before
        before = name
        world.workers[name].finish("a")
        world.settle()
    assert 4 <= moves <= 20


def test_who_waits_longest_is_given_first() -> None:
    slots: Slots[str] = Slots("xyz")
    slots.limit({"a": 1})
    for name, oldest in (("x", 999.0), ("y", 998.0), ("z", 999.5)):
        slots.say(name, Need(0, {}, 1, oldest))
    assert [(name, loan.limits) for name, loan in slots.moves(1000.0) if loan.limits] == [("y", {"a": 1})]
