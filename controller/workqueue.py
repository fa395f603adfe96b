"""A queue of keys: each once, none twice at a time, those that failed after a growing pause. No clock and no task in here.

After the one of Kubernetes' controllers (k8s.io/client-go/util/workqueue): a key added while it is worked on is handed out
again afterwards; the pause doubles with each failure and is forgotten with the first success.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """Keys that want to be looked at, first come, first served."""

    def __init__(self, first: float = 0.1, longest: float = 60.0) -> None:
        """`first` and `longest`: seconds of the pause after a failure."""
        self._first, self._longest = first, longest
        self._due: dict[Key, None] = {}  # in order; a dict is an ordered set
        self._later: list[tuple[float, int, Key]] = []  # heap
        self._at: dict[Key, float] = {}  # the valid entry of each key in the heap
        self._working: set[Key] = set()
        self._again: set[Key] = set()  # added while worked on
        self._failures: dict[Key, int] = {}
        self._serial = 0

    def __len__(self) -> int:
        """Keys that wait or are worked on."""
        return len(self._due.keys() | self._at.keys() | self._working)

    @property
    def depth(self) -> int:
        """Keys that wait to be worked on now; those that are due later are none of them."""
        return len(self._due) + len(self._again)

    @property
    def working(self) -> int:
        """Keys that are worked on."""
        return len(self._working)

    def add(self, key: Key) -> None:
        """Look at the key as soon as possible."""
        self._at.pop(key, None)
        if key in self._working:
            self._again.add(key)
        else:
            self._due[key] = None

    def add_at(self, key: Key, at: float) -> None:
        """Look at the key at that time, unless it is looked at before."""
        if key in self._due or key in self._again or self._at.get(key, at + 1) <= at:
            return
        self._serial += 1
        self._at[key] = at
        heapq.heappush(self._later, (at, self._serial, key))

    def take(self, now: float) -> Key | None:
        """The next key, which is then worked on until `done` or `failed`; None when nothing is due."""
        self._ripen(now)
        for key in self._due:
            del self._due[key]
            self._working.add(key)
            return key
        return None

    def next_at(self) -> float | None:
        """When the next key will be due that is not due now; None when there is none."""
        self._tidy()
        return self._later[0][0] if self._later else None

    def done(self, key: Key) -> None:
        """The key was looked at; its failures are forgotten."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: Key, now: float) -> float:
        """The key could not be looked at: it comes again after a pause, which is returned (seconds)."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        pause: float = min(self._longest, self._first * 2.0 ** min(count - 1, 32))
        self._release(key)
        self.add_at(key, now + pause)
        return pause

    def _release(self, key: Key) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _ripen(self, now: float) -> None:
        self._tidy()
        while self._later and self._later[0][0] <= now:
            _, _, key = heapq.heappop(self._later)
            self.add(key)
            self._tidy()

    def _tidy(self) -> None:
        """Drop entries of the heap that were overtaken."""
        while self._later and self._at.get(self._later[0][2]) != self._later[0][0]:
            heapq.heappop(self._later)
