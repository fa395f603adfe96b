"""What a connection repeats is not read again: the lines that the blocks of two successive requests begin with.

Clients send most of their fields in one order with the same values (User-Agent, Accept, Authorization), and what is new in each
request behind them. Bytes that are the same mean the same, so only what follows, the tail, is matched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LEAST: Final = 64  # bytes that are worth it

Groups = tuple[bytes | None, bytes | None, bytes | None, bytes | None, bytes | None, bytes | None]  # of usual.py


class Prefix:
    """Whole lines, with what the usual expression found in them."""

    __slots__ = ("clean", "groups", "left", "raw", "room", "size")

    def __init__(self, raw: bytes, clean: bytes, groups: Groups, left: int) -> None:
        self.raw = raw
        self.clean = clean  # without `Connection: keep-alive`
        self.groups = groups
        self.size = len(raw)
        self.left = left  # how many lines there may be behind it
        self.room = 4 * left  # bytes: below that there are not more of them, for the shortest is "a:\r\n"

    def join(self, tail: Groups) -> Groups | None:
        """What both parts say together. None: both say the same thing, which only one line may."""
        a, b, c, d, e, f = self.groups
        g, h, i, j, k, m = tail
        # Written out: a loop costs 2 us.
        if not ((a is None or g is None) and (b is None or h is None) and (c is None or i is None)):
            return None
        if not ((d is None or j is None) and (e is None or k is None) and (f is None or m is None)):
            return None
        return (
            *(g if a is None else a, h if b is None else b, i if c is None else c),
            *(j if d is None else d, k if e is None else e, m if f is None else f),
        )


EMPTY: Final = Prefix(b"", b"", (None, None, None, None, None, None), 1 << 30)  # the expression itself bounds a whole block


def cut(lines: bytes, found: re.Match[bytes]) -> bytes:
    """These lines without `Connection: keep-alive`."""
    return lines if found[6] is None else lines[: found.start(6)] + lines[found.end(6) :]


def common(before: bytes, block: bytes, match: Callable[..., re.Match[bytes] | None], most: int) -> Prefix:
    """The prefix of a usual block and the one that follows; EMPTY where there is none that is worth it."""
    if before[:LEAST] != block[:LEAST]:
        return EMPTY
    low, high = 0, min(len(before), len(block))
    while low < high:  # the longest common beginning, by halves
        middle = (low + high + 1) // 2
        low, high = (middle, high) if before[low:middle] == block[low:middle] else (low, middle - 1)
    raw = block[: block.rfind(b"\n", 0, low) + 1]
    found = match(raw) if len(raw) >= LEAST else None
    return Prefix(raw, cut(raw, found), found.groups(), most - raw.count(b"\n")) if found is not None else EMPTY  # type: ignore[arg-type]
