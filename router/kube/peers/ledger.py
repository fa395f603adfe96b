"""Who has which slots of one revision's hard limit, as it stands on the board: router.slots, kept between two changes as bytes.

Whoever changes it decides for all, by the same rules: what an address has is given only when every other router has said that it
let go. While the board is young everybody only registers what he has, and nothing moves. No clock and no socket in here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from router.slots import Loan, Need, Part, Slots

FAVOUR: Final = 0.05  # seconds by which waiters count as older where the slots are: a move costs some ten milliseconds


class _Member(msgspec.Struct, array_like=True):
    name: str
    number: int
    limits: dict[str, int]
    watch: bool
    held: dict[str, int]
    taken_over: int  # the number of the loan that the need speaks of
    in_flight: dict[str, int]
    waiting: int
    oldest: float


class _Page(msgspec.Struct, array_like=True):
    numbers: int  # of loans so far
    members: list[_Member]


class Entry(NamedTuple):
    """What a router writes, and what that means for it."""

    content: bytes
    loan: Loan  # its limits from now on, once it is written
    others: bool  # it means something for others, too


class _Numbers(Iterator[int]):
    def __init__(self, last: int) -> None:
        self.last = last

    def __next__(self) -> int:
        self.last += 1
        return self.last


def enter(
    content: bytes, me: str, had: Loan, need: Need, limits: Mapping[str, int], now: float, gone: Callable[[str], bool],
    young: bool = False,
) -> Entry:  # fmt: skip
    """The page after one router said what it has and wants.

    `had`: the loan that it took over last; `need`: what it has and wants, its number does not matter; `limits`: of each address,
    for all together; `now` and the need's times: seconds of the board's clock; `gone`: whose slots are free again.
    """
    page = _DECODER.decode(content) if content else _Page(0, [])
    numbers = _Numbers(page.numbers)
    parts = {one.name: _part(one) for one in page.members if one.name == me or young or not gone(one.name)}
    number = had.number
    if me not in parts:  # what we had is lost, unless the board began anew: then we bring it
        number = next(numbers) if young and had.limits else 0
        parts[me] = Part(Loan(number, had.limits if number else {}, had.watch and bool(number)), {}, Need())
    slots: Slots[str] = Slots((), numbers, FAVOUR)
    slots.restore(parts)
    slots.limit(limits)
    slots.say(me, replace(need, number=number))
    if not young:
        slots.moves(now)
    after = slots.parts()
    others = any(after[name].loan != part.loan for name, part in parts.items() if name != me)
    written = _Page(numbers.last, [_member(name, after[name]) for name in sorted(after)])
    return Entry(_ENCODER.encode(written), after[me].loan, others)


def _part(one: _Member) -> Part:
    need = Need(one.taken_over, one.in_flight, one.waiting, one.oldest)
    return Part(Loan(one.number, one.limits, one.watch), one.held, need)


def _member(name: str, part: Part) -> _Member:
    loan, need = part.loan, part.need
    return _Member(
        name, loan.number, _sorted(loan.limits), loan.watch, _sorted(part.held),
        need.number, _sorted(need.in_flight), need.waiting, need.oldest,
    )  # fmt: skip


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return {address: count for address, count in sorted(counts.items()) if count}


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Page)
