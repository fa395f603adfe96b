"""How long to wait before the next attempt: doubling, capped, half of it random, so that not all come back at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits in seconds: the n-th lies between half and all of `first * 2**n`, at most `limit`."""

    first: float = 0.25
    limit: float = 10.0

    def wait(self, failures: int, random: Callable[[], float]) -> float:
        """`failures` in a row so far, at least 1; `random` is uniform in [0, 1)."""
        whole = min(self.limit, self.first * 2.0 ** min(failures - 1, 32))
        return whole * (0.5 + 0.5 * random())
