"""What the controller that works finds out, told by one that waits, too: whoever follows a function may be connected to either.

The one that works tells of its own looks. Here the conditions that it writes come back by the watch. What a build writes does
not: a follower of one that waits sees its steps, not its lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from controller.model import Condition, Function
from controller.progress import Progress

Key = tuple[str, str]  # namespace, name


class Store(Protocol):
    """What is read of the store of functions."""

    def get(self, project: str, name: str) -> Function | None: ...
    def watch(self, changed: Callable[[str, str], None]) -> None: ...


class Echo:
    """Tells of every change of a function's conditions, as long as `leading` says that nobody here does."""

    def __init__(self, store: Store, progress: Progress, leading: Callable[[], bool]) -> None:
        self._store, self._progress, self._leading = store, progress, leading
        self._known: dict[Key, tuple[int, dict[str, Condition]]] = {}  # observed generation, conditions
        store.watch(self._changed)

    def _changed(self, namespace: str, name: str) -> None:
        if self._leading():
            self._known.clear()
            return
        key = (namespace, name)
        function = self._store.get(*key)
        if function is None:
            self._gone(key)
            return
        status = function.status
        before, conditions = self._known.get(key, (0, {}))
        for each in status.conditions:
            renewed = each.type == "Ready" and status.observed_generation != before
            if renewed or each != conditions.get(each.type):
                about = (each.type, each.status, each.reason, each.message)
                self._progress.tell(key, *about, status.observed_generation)
        self._known[key] = (status.observed_generation, {each.type: each for each in status.conditions})

    def _gone(self, key: Key) -> None:
        if self._known.pop(key, None) is not None:
            self._progress.tell(key, "Deleted", "True", "Deleted", "the function is gone")
            self._progress.end(key)
