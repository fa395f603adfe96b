"""The control process's part in hard limits: who is told what when routes, grants and workers come and go."""

from __future__ import annotations

from collections.abc import Mapping

from router.model import Backend, Endpoint, Route, RouteKey, Settings
from router.workers.lending import Lending
from router.workers.messages import Lend, Need

KEY = RouteKey("*", "default", "hello")


class Borrower:
    """A worker that answers each loan at once, and has nothing in flight."""

    def __init__(self) -> None:
        self.lent: dict[str, Mapping[str, int]] = {}
        self.loans: list[Lend] = []

    def send(self, *orders: Lend) -> None:
        for order in orders:
            self.loans.append(order)
            self.lent[order.revision] = order.limits


class World:
    def __init__(self) -> None:
        self.workers = [Borrower(), Borrower()]
        self.short: list[RouteKey] = []
        self.lending = Lending(lambda: self.workers, self.short.append, lambda: 100.0)

    def put(self, concurrency: int, *addresses: str) -> None:
        endpoints = tuple(Endpoint(address.lstrip("~"), address.startswith("~")) for address in addresses)
        self.lending.put(Route(KEY, (Backend("r1", endpoints),), Settings(concurrency=concurrency)))

    def wait(self, waiting: int = 1) -> None:
        """Somebody waits in the first worker; both then answer whatever they are told."""
        self.say(0, 0, waiting)
        for _ in range(4):
            for place, worker in enumerate(self.workers):
                for loan in worker.loans:
                    self.say(place, loan.number, waiting if place == 0 else 0)
                worker.loans.clear()

    def say(self, place: int, number: int, waiting: int) -> None:
        self.lending.need(self.workers[place], Need(KEY, "r1", number, {}, waiting, 99.0 if waiting else 0.0))

    def lent(self) -> list[dict[str, int]]:
        return [dict(worker.lent.get("r1", {})) for worker in self.workers]


def test_the_whole_limit_of_each_ready_address_goes_to_who_waits() -> None:
    world = World()
    world.put(2, "a", "b", "~c")
    world.wait(9)
    assert world.lent() == [{"a": 2, "b": 2}, {}]
    assert world.lending.needed(KEY, "r1").waiting == 9 and not world.short


def test_a_limit_that_is_shared_is_lent_as_far_as_it_is_granted_and_a_grant_outlives_a_time_without_limit() -> None:
    world = World()
    world.lending.shared = True
    world.put(5, "a")
    world.wait()
    assert world.lent() == [{}, {}] and world.short == [KEY]
    world.lending.grant(KEY, "r1", {"a": 1})
    world.wait()
    assert world.lent()[0] == {"a": 1}
    world.put(0, "a")
    assert world.lent()[0] == {}
    world.put(5, "a")
    world.wait()
    assert world.lent()[0] == {"a": 1}


def test_a_dead_workers_slots_are_lent_to_the_others() -> None:
    world = World()
    world.put(1, "a")
    world.wait()
    assert world.lent() == [{"a": 1}, {}]
    world.say(1, 0, 1)
    dead = world.workers.pop(0)
    world.lending.leave(dead)
    assert world.lent() == [{"a": 1}]


def test_of_a_route_that_is_gone_nothing_is_lent() -> None:
    world = World()
    world.put(1, "a")
    world.lending.remove(KEY)
    world.wait()
    assert world.lent() == [{}, {}]
