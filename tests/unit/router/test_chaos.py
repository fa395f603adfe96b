"""Clients, functions and a network that do anything at any time: what holds in runs of fixed seeds. `make chaos` makes more."""

from __future__ import annotations

import errno
import gc

import pytest

from router.wire.client import Client
from router.wire.upstream import UpstreamConnection
from tests.chaos.__main__ import failure
from tests.chaos.draws import Draws, shrink
from tests.chaos.world import World
from tests.fuzz.memory import Memory

SEEDS = range(200)


@pytest.mark.parametrize("part", range(4))
def test_whatever_happens_each_client_gets_its_own_answers_and_nothing_is_left(part: int) -> None:
    for seed in SEEDS[part::4]:
        assert not (found := failure(Draws(seed))), f"seed {seed}: {found}; see python -m tests.chaos 1 {seed}"


def test_a_seed_is_always_the_same_run_and_so_are_the_choices_that_it_made() -> None:
    draws, traces = Draws(7), ([], [], [])  # type: tuple[Draws, tuple[list[str], ...]]
    World(draws, traces[0]).play()
    World(Draws(7), traces[1]).play()
    World(Draws(given=draws.made), traces[2]).play()
    assert traces[0] == traces[1] == traces[2]
    assert len(traces[0]) > 20


def test_the_core_keeps_nothing_of_a_run_that_is_over() -> None:
    before = connections()
    for seed in range(3):
        World(Draws(seed)).play()
    assert connections() <= before


def connections() -> int:
    """Those that are somewhere in memory."""
    gc.collect()
    return sum(type(one) in (Client, UpstreamConnection) for one in gc.get_objects())


def test_a_run_that_fails_is_made_short() -> None:
    def fails(given: list[int]) -> list[int] | None:
        draws = Draws(given=given)
        made = [draws.below(10) for _ in range(draws.below(50))]
        return draws.made if 7 in made else None

    assert fails([30, *range(10), 7, *range(10)])
    assert shrink([30, *range(10), 7, *range(10)], fails) == [1, 7]


# what the runs found


def test_a_waiter_whose_turn_comes_when_it_gives_up_connecting_gives_its_slot_back() -> None:
    memory = Memory(patience={"reconnect": 5.0})
    client = memory.connect()
    memory.pool.refusing = errno.ECONNREFUSED
    memory.feed(client, [b"GET /fn/f/x HTTP/1.1\r\nHost: h\r\n\r\n"])
    memory.put()
    memory.pass_time(6.0)
    assert memory.present() == (0, 1)
    memory.put("f:2")
    memory.run()
    assert client.outbox.startswith(b"HTTP/1.1 502 ")
    assert memory.present() == (0, 0)
    memory.close()
