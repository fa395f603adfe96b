"""Slots of a hard limit that several routers share: never more than there are, and nobody waits beside a free one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from router.kube.peers.ledger import enter
from router.slots import Loan, Need

LIMITS = {"a": 2, "b": 1}
NAMES = ("x", "y", "z")
NOTHING = Loan(0, {}, False)


@dataclass
class Router:
    """What the gate and router.kube.sharing make of one."""

    name: str
    had: Loan = NOTHING
    content: bytes = b""
    in_flight: dict[str, int] = field(default_factory=dict)
    queue: deque[float] = field(default_factory=deque)

    def fill(self) -> None:
        for address in sorted(self.had.limits):
            while self.queue and self.in_flight.get(address, 0) < self.had.limits[address]:
                self.in_flight[address] = self.in_flight.get(address, 0) + 1
                self.queue.popleft()

    def need(self) -> Need:
        busy = {address: count for address, count in self.in_flight.items() if count}
        return Need(0, busy, len(self.queue), self.queue[0] if self.queue else 0.0)


class Town:
    def __init__(self, names: tuple[str, ...] = NAMES) -> None:
        self.now = 1000.0
        self.page = b""
        self.young = False
        self.dead: set[str] = set()
        self.routers = {name: Router(name) for name in names}

    def step(self, name: str, stale: bool = False) -> bool:
        """One swap by one router; False when nothing changed. `stale`: it looked a while ago, so the swap fails first."""
        one = self.routers[name]
        seen = one.content if stale else self.page
        entry = enter(seen, name, one.had, one.need(), LIMITS, self.now, self.dead.__contains__, self.young)
        if seen != self.page:
            one.content = self.page
            return False
        changed = (entry.content, entry.loan) != (self.page, one.had)
        self.page = one.content = entry.content
        one.had = entry.loan
        one.fill()
        return changed

    def play(self, what: str, name: str, address: str) -> None:
        self.now += 0.01
        one = self.routers[name]
        if what == "arrive":
            one.queue.append(self.now)
            one.fill()
        elif what == "finish" and one.in_flight.get(address):
            one.in_flight[address] -= 1
            one.fill()
        elif what == "restart":
            self.restart()
        elif what == "grow":
            self.grow()
        else:
            self.step(name, what == "stale")

    def restart(self) -> None:
        """The board forgets all; everybody goes on with what he has."""
        self.page, self.young = b"", True
        for each in self.routers.values():
            each.had, each.content = each.had._replace(number=0), b""

    def grow(self) -> None:
        """A lease has gone by: whoever lives has said what he has."""
        for each in self.routers if self.young else ():
            self.step(each)
        self.young = False

    def check(self) -> None:
        for address, limit in LIMITS.items():
            assert sum(one.in_flight.get(address, 0) for one in self.routers.values()) <= limit
            assert sum(one.had.limits.get(address, 0) for one in self.routers.values()) <= limit

    def settle(self) -> None:
        for _ in range(60):
            changes = [self.step(name) for name in self.routers]
            if not any(changes):
                return
            self.check()
        raise AssertionError("it does not come to rest")


@st.composite
def plays(draw: st.DrawFn) -> list[tuple[str, str, str]]:
    step = st.tuples(
        st.sampled_from(["arrive", "finish", "step", "step", "stale", "restart", "grow"]),
        st.sampled_from(NAMES),
        st.sampled_from("ab"),
    )
    return draw(st.lists(step, max_size=60))


@settings(max_examples=150, deadline=None)
@given(plays())
def test_no_address_ever_has_more_than_its_limit_and_in_the_end_nobody_waits_beside_a_free_slot(
    play: list[tuple[str, str, str]],
) -> None:
    town = Town()
    for what, name, address in play:
        town.play(what, name, address)
        town.check()
    town.grow()
    town.settle()
    free = sum(LIMITS.values()) - sum(sum(one.in_flight.values()) for one in town.routers.values())
    assert not (free and any(one.queue for one in town.routers.values()))


def test_all_slots_go_to_where_the_load_is_and_stay() -> None:
    town = Town()
    town.settle()
    for _ in range(5):
        town.routers["x"].queue.append(town.now)
    town.settle()
    assert sum(town.routers["x"].in_flight.values()) == 3 and len(town.routers["x"].queue) == 2
    assert not town.step("x")


def test_a_dead_member_s_slots_come_back_and_whoever_was_taken_for_dead_has_none() -> None:
    town = Town(("x", "y"))
    town.routers["x"].queue.extend([town.now] * 3)
    town.settle()
    town.routers["y"].queue.append(town.now)
    town.settle()
    town.dead.add("x")
    before = town.routers.pop("x")
    town.settle()
    assert not town.routers["y"].queue
    back = Router("x", before.had)  # by some accident under its old name: it is told what is true
    entry = enter(town.page, "x", back.had, back.need(), LIMITS, town.now, lambda _: False)
    assert sum(town.routers["y"].had.limits.values()) == 3
    assert (entry.loan.limits, entry.others) == ({}, False)


def test_on_a_board_that_began_anew_everybody_keeps_what_he_has_until_all_have_said_so() -> None:
    town = Town(("x", "y"))
    town.routers["x"].queue.extend([town.now] * 3)
    town.settle()
    for one in town.routers.values():
        one.had, one.content = one.had._replace(number=0), b""
    town.page, town.young = b"", True
    town.routers["y"].queue.append(town.now)
    had = dict(town.routers["x"].had.limits)
    assert town.step("y") and town.routers["y"].had.limits == {}
    town.step("x")
    assert town.routers["x"].had.limits == had
    town.young = False
    town.settle()
    town.routers["x"].in_flight.clear()
    town.settle()
    assert not town.routers["y"].queue
