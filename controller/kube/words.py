"""The last words of pods that run and do not get ready: read from their logs once they are late, and ever more rarely after that.

One that has ended tells them itself, in its status. One that lives, and listens nowhere, or where nobody looks, only has its log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from controller.kube.names import FUNCTION
from controller.kube.pods import LINES, last_words, silent
from kube.model import Pod

LATE: Final = (
    20.0  # seconds that a pod may run unready before its log is looked at; the next look is twice as far away, and so on
)

Read = Callable[[str, str, int], Awaitable[str]]  # namespace, pod, lines -> the end of its log; "" where there is none
Find = Callable[[str, str], Pod | None]  # namespace, name
Told = Callable[[str, str], None]  # namespace, function: there are new words


@dataclass(frozen=True, slots=True)
class _Turn:
    at: float  # seconds, by the loop's clock
    after: float  # seconds that were waited for it


class Words:
    """`await run()` in a task."""

    def __init__(self, find: Find, read: Read, told: Told) -> None:
        self._find, self._read, self._told = find, read, told
        self._turns: dict[tuple[str, str], _Turn] = {}  # by namespace and pod
        self._known: dict[tuple[str, str], str] = {}
        self._news = asyncio.Event()

    def of(self, pod: Pod) -> str:
        """What it last wrote, as far as that was read; "" of one that is ready, has ended or is not late."""
        key = (pod.metadata.namespace, pod.metadata.name)
        if not silent(pod):
            self._forget(key)
            return ""
        if key not in self._turns:
            self._turns[key] = _Turn(asyncio.get_running_loop().time() + LATE, LATE)
            self._news.set()
        return self._known.get(key, "")

    async def run(self) -> None:
        """Read when it is time, until cancelled."""
        while True:
            self._news.clear()
            now = asyncio.get_running_loop().time()
            for key in [key for key, turn in self._turns.items() if turn.at <= now]:
                await self._look(key)
            first = min((turn.at for turn in self._turns.values()), default=None)
            try:
                async with asyncio.timeout_at(first):
                    await self._news.wait()
            except TimeoutError:
                pass  # it is the time that was waited for

    async def _look(self, key: tuple[str, str]) -> None:
        pod = self._find(*key)
        if pod is None or not silent(pod):
            self._forget(key)
            return
        after = 2 * self._turns[key].after
        words = last_words(await self._read(*key, LINES))
        if key not in self._turns:  # it got ready meanwhile
            return
        self._turns[key] = _Turn(asyncio.get_running_loop().time() + after, after)
        if words and words != self._known.get(key):
            self._known[key] = words
            self._told(key[0], (pod.metadata.labels or {}).get(FUNCTION, ""))

    def _forget(self, key: tuple[str, str]) -> None:
        self._turns.pop(key, None)
        self._known.pop(key, None)
