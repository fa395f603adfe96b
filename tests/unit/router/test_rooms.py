"""What waits for a function is bounded over all workers of a router, by memory that they share."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from router.gate import GO, WAIT, Gate, Refusal
from router.model import Backend, Route, RouteKey, Settings
from router.room import ALONE, Reason, Room
from router.table import Table
from router.workers import rooms
from router.workers.rooms import Rooms, Rows

KEY = RouteKey("*", "default", "hello")
OTHER = RouteKey("*", "default", "other")


class Router:
    """Workers with one gate each before the same function, of which nothing is ready."""

    def __init__(self, workers: int = 2, **bounds: int) -> None:
        self.rows = Rows()
        self.cells = memoryview(bytearray(rooms.size(workers))).cast("Q")
        self.bounds = bounds
        self.gates = [self.hire(place) for place in range(workers)]

    def hire(self, place: int) -> Gate[object]:
        """A worker begins, in the place of one that died or was never there."""
        self.rows.empty(self.cells, place)
        room, mine = Room(**self.bounds), Rooms(self.cells, place)
        mine.put(KEY, self.rows.number(KEY))
        room.join(mine.elsewhere(KEY))
        return Gate(0.0, 0, room)

    def arrive(self, place: int, held: int = 0, waiter: object = None) -> object:
        return self.gates[place].arrive(waiter or object(), 0.0, 60.0, held)


def test_the_whole_bound_is_there_for_a_worker_that_has_all_the_load() -> None:
    router = Router(most=4)
    assert [router.arrive(0) for _ in range(4)] == [WAIT] * 4
    assert [router.arrive(place) for place in (0, 1)] == [Refusal(Reason.FULL, 1.0)] * 2


def test_load_on_several_workers_shares_the_bound_and_each_place_that_is_free_again() -> None:
    router = Router(workers=3, most=4)
    first = object()
    assert [router.arrive(place, waiter=first if place == 0 else None) for place in (0, 1, 2, 1)] == [WAIT] * 4
    assert router.arrive(2) == Refusal(Reason.FULL, 1.0)
    assert router.gates[0].abandon(first, 1.0)
    assert [router.arrive(2), router.arrive(0)] == [WAIT, Refusal(Reason.FULL, 1.0)]
    assert len(router.gates[1].resize(2, 1.0)) == 2
    assert [router.arrive(0), router.arrive(2), router.arrive(0)] == [WAIT, WAIT, Refusal(Reason.FULL, 1.0)]


def test_bytes_are_bounded_over_all_workers_at_arrival_and_when_more_is_read() -> None:
    router = Router(most_bytes=100)
    one, other = object(), object()
    assert [router.arrive(0, 40, one), router.arrive(1, 40, other)] == [WAIT, WAIT]
    assert router.arrive(1, 21) == Refusal(Reason.BYTES, 1.0)
    assert router.gates[0].grow(one, 20) and not router.gates[1].grow(other, 1)
    assert router.gates[0].abandon(one, 1.0)
    assert router.gates[1].grow(other, 59) and not router.gates[1].grow(other, 1)


def test_without_a_bound_any_number_waits() -> None:
    router = Router(most=0, most_bytes=0)
    assert [router.arrive(n % 2, 1 << 40) for n in range(2000)] == [WAIT] * 2000


def test_who_finds_a_free_slot_does_not_look_at_the_others() -> None:
    class Watched:
        def waiting(self) -> int:
            raise AssertionError

        held = waiting

        def tell(self, waiting: int, held: int) -> None:
            assert (waiting, held) == (0, 0), "when it joins"

    room = Room()
    room.join(Watched())
    gate: Gate[str] = Gate(0.0, 1, room)
    assert gate.arrive("a", 0.0, 60.0) is GO
    assert gate.leave(1.0) is None


def test_those_that_look_in_the_same_instant_are_one_more_for_each_worker_beside_the_first_and_nobody_comes_after_them() -> None:
    router = Router(workers=3, most=4)
    found = [router.arrive(0) for _ in range(3)]
    looked = [gate.room.refuses(0) for gate in router.gates]
    for gate in router.gates:
        gate.room.enter(0)
    assert found == [WAIT] * 3 and looked == [None] * 3
    assert sum(gate.room.waiting for gate in router.gates) == 4 + 2
    assert [router.arrive(place) for place in range(3)] == [Refusal(Reason.FULL, 1.0)] * 3


def test_what_waited_in_a_dead_worker_does_not_linger() -> None:
    router = Router(most=3)
    assert [router.arrive(place) for place in (0, 0, 1)] == [WAIT] * 3
    router.rows.empty(router.cells, 0)
    assert [router.arrive(1) for _ in range(3)] == [WAIT, WAIT, Refusal(Reason.FULL, 1.0)]
    router.gates[0] = router.hire(0)
    assert router.arrive(0) == Refusal(Reason.FULL, 1.0)
    assert len(router.gates[1].resize(1, 1.0)) == 1
    assert [router.arrive(0), router.arrive(0)] == [WAIT, Refusal(Reason.FULL, 1.0)]


def route(**limits: int) -> Route:
    return Route(KEY, (Backend("r1", ()),), Settings(**limits))  # type: ignore[arg-type]


class Worker:
    """One worker's table."""

    def __init__(self, cells: memoryview, place: int) -> None:
        self.rooms = Rooms(cells, place)
        self.table: Table[object] = Table()
        self.table.elsewhere = self.rooms.elsewhere

    def put(self, row: int, **limits: int) -> None:
        self.rooms.put(KEY, row)
        self.table.put(route(**limits), 0.0)

    def arrive(self, waiter: object = None) -> object:
        live = self.table.get(KEY)
        assert live is not None
        self.table.begin(live, 0.0)
        revision = live.choose(0.0)
        assert revision is not None
        return revision.gate.arrive(waiter or object(), 0.0, 60.0)


def test_a_route_that_is_removed_leaves_nothing_in_its_row_also_when_it_was_in_flight_and_comes_back_to_another() -> None:
    cells = memoryview(bytearray(rooms.size(2))).cast("Q")
    one, other = Worker(cells, 0), Worker(cells, 1)
    for worker in (one, other):
        worker.put(5, queue_limit=2)
    assert [one.arrive(), one.arrive(), other.arrive()] == [WAIT, WAIT, Refusal(Reason.FULL, 1.0)]
    live = one.table.get(KEY)
    assert live is not None and live.revisions is not None
    live.revisions["r1"].gate.resize(1, 0.0)  # one of them is in flight when the route goes
    assert len(one.table.remove(KEY, 0.0)) == 1
    one.rooms.remove(KEY)
    live.revisions["r1"].gate.room.enter(0)  # and wants to wait again: of nobody's business elsewhere
    assert [other.arrive(), other.arrive(), other.arrive()] == [WAIT, WAIT, Refusal(Reason.FULL, 1.0)]
    live.revisions["r1"].gate.room.leave(0)
    other.table.remove(KEY, 0.0)
    for worker in (one, other):
        worker.put(6, queue_limit=2)
    assert one.table.get(KEY) is live
    assert [one.arrive(), other.arrive()] == [WAIT, WAIT]
    assert [one.arrive(), other.arrive()] == [Refusal(Reason.FULL, 1.0)] * 2


def test_every_function_has_a_row_of_its_own_and_those_beyond_are_bounded_in_each_worker() -> None:
    rows = Rows(rows=3)
    assert [rows.number(key) for key in (KEY, OTHER, KEY)] == [1, 2, 1]
    third = RouteKey("*", "default", "third")
    assert rows.number(third) == rooms.NOBODYS
    mine = Rooms(memoryview(bytearray(rooms.size(2))).cast("Q"), 0)
    mine.put(third, rows.number(third))
    assert mine.elsewhere(third) is ALONE and mine.elsewhere(RouteKey("*", "default", "unknown")) is ALONE
    rows.remove(OTHER)
    rows.remove(OTHER)
    assert rows.number(third) == 2


def test_one_worker_is_alone() -> None:
    mine = Rooms(memoryview(bytearray(rooms.size(1))).cast("Q"), 0)
    mine.put(KEY, 1)
    assert mine.elsewhere(KEY) is ALONE


STEPS = st.lists(
    st.tuples(st.sampled_from(["arrive", "abandon", "grow", "die"]), st.integers(0, 2), st.integers(0, 40)), max_size=60
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, most=st.integers(0, 6), most_bytes=st.integers(0, 100))
def test_nobody_is_refused_while_there_is_room_and_nothing_waits_beyond_the_bounds(
    steps: list[tuple[str, int, int]], most: int, most_bytes: int
) -> None:
    router = Router(workers=3, most=most, most_bytes=most_bytes)
    waiting: list[dict[object, int]] = [{}, {}, {}]  # bytes by waiter, in each worker
    for step, place, size in steps:
        count, held = sum(map(len, waiting)), sum(sum(each.values()) for each in waiting)
        fits = not most_bytes or held + size <= most_bytes
        mine, gate = waiting[place], router.gates[place]
        if step == "arrive":
            waiter = object()
            answer = router.arrive(place, size, waiter)
            assert (answer is WAIT) == (fits and (not most or count < most))
            if answer is WAIT:
                mine[waiter] = size
        elif step == "die":
            mine.clear()
            router.gates[place] = router.hire(place)
        elif mine:
            waiter = next(iter(mine))
            if step == "grow":
                assert gate.grow(waiter, size) == fits
                mine[waiter] += size  # it was read
            else:
                assert gate.abandon(waiter, 0.0)
                del mine[waiter]
    for place, gate in enumerate(router.gates):
        assert len(gate.evict(0.0)) == len(waiting[place])
    assert not any(router.cells[place * rooms._COLUMN + 2 + cell] for place in range(3) for cell in (0, 1))
