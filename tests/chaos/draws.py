"""Where a run's choices come from: a seed, or a list of choices made before; and how a failing list is made short.

A choice is a number below a bound, and 0 is the plainest one, so that what is left out of a list leads to less happening.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """Choices, each remembered in `made`."""

    def __init__(self, seed: int = 0, given: Sequence[int] | None = None) -> None:
        self._random = random.Random(seed).random
        self._given = None if given is None else iter(given)
        self.made: list[int] = []
        self.calm = False  # from now on always the plainest choice

    def below(self, bound: int) -> int:
        """One of 0 … bound - 1."""
        if self.calm:
            return 0
        choice = int(self._random() * bound) if self._given is None else next(self._given, 0) % bound
        self.made.append(choice)
        return choice

    def chance(self, percent: int) -> bool:
        """True so often."""
        return self.below(100) >= 100 - percent

    def pick(self, among: Sequence[T]) -> T:
        """One of them; the first is the plainest."""
        return among[self.below(len(among))]

    def size(self, most: int) -> int:
        """1 … most, small ones as often as large ones."""
        if self.calm:
            return most
        bits = self.below(most.bit_length()) + 1
        return min(most, 1 + self.below(1 << bits))

    def part(self, whole: int) -> int:
        """All of so many, mostly, or 1 … whole."""
        return self.size(whole) if self.chance(40) else whole


def shrink(made: list[int], fails: Callable[[list[int]], list[int] | None], tries: int = 600) -> list[int]:
    """A shorter list that fails still: `fails` runs one and returns the choices that it made, or None when all is well."""
    span = max(1, len(made) // 2)
    while span and tries > 0:
        at, better = 0, False
        while at < len(made) and tries > 0:
            for candidate in _plainer(made, at, span):
                tries -= 1
                found = fails(candidate)
                if found is not None and (len(found), sum(found)) < (len(made), sum(made)):
                    made, better = found, True
                    break
            else:
                at += span
        span = span if better and span == 1 else span // 2
    return made


def _plainer(made: list[int], at: int, span: int) -> list[list[int]]:
    """Lists with less in this place."""
    before, there, after = made[:at], made[at : at + span], made[at + span :]
    replaced = [[], [0] * span, *([[there[0] // 2], [there[0] - 1]] if span == 1 else [])]
    return [[*before, *other, *after] for other in replaced if there[0] or len(other) < span]
