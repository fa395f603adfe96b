"""Objects of every kind with their history: revisions, snapshots for paging, compaction; what etcd is to a real server."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Manifest = dict[str, Any]
Collection = tuple[str, str]  # group, plural
Identity = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history. Added has no old, deleted no new state; the deleted one's last state carries the revision."""

    revision: int
    collection: Collection
    old: Manifest | None
    new: Manifest | None


class Compacted(Exception):
    """The revision asked for is no longer known."""


class Store:
    """Stored manifests are never changed in place: each write stores another dict, so that snapshots can share them."""

    def __init__(self) -> None:
        self.revision = 1
        self.compacted = 1  # the oldest revision from which a watch can start
        self._objects: dict[Collection, dict[Identity, Manifest]] = {}
        self._history: list[Change] = []
        self._snapshots: dict[tuple[Collection, int], list[Manifest]] = {}
        self._listeners: set[Callable[[Change], None]] = set()

    def get(self, collection: Collection, identity: Identity) -> Manifest | None:
        return self._objects.get(collection, {}).get(identity)

    def all(self, collection: Collection) -> list[Manifest]:
        """In etcd's order: by namespace and name."""
        return [item for _, item in sorted(self._objects.get(collection, {}).items())]

    def everything(self) -> list[tuple[Collection, Identity, Manifest]]:
        return [(collection, *entry) for collection, items in self._objects.items() for entry in items.items()]

    def snapshot(self, collection: Collection, revision: int | None = None) -> tuple[int, list[Manifest]]:
        """The objects now, or as they were at the revision of an earlier snapshot. Raises Compacted."""
        if revision is None:
            revision = self.revision
            self._snapshots[collection, revision] = self.all(collection)
        try:
            return revision, self._snapshots[collection, revision]
        except KeyError as error:
            raise Compacted from error

    def put(self, collection: Collection, manifest: Manifest) -> Manifest:
        """Store a new state and return it with its resourceVersion (and, when new, uid and creationTimestamp)."""
        metadata = manifest["metadata"]
        identity = (metadata.get("namespace", ""), metadata["name"])
        old = self.get(collection, identity)
        self.revision += 1
        born = {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1} if old is None else {}
        new = {**manifest, "metadata": {**metadata, **born, "resourceVersion": str(self.revision)}}
        self._objects.setdefault(collection, {})[identity] = new
        self._note(Change(self.revision, collection, old, new))
        return new

    def remove(self, collection: Collection, identity: Identity) -> Manifest:
        """Returns the last state, with the revision of its deletion, as a watch shows it."""
        old = self._objects[collection].pop(identity)
        self.revision += 1
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.revision)}}
        self._note(Change(self.revision, collection, last, None))
        return last

    def touch(self) -> int:
        """A revision in which nothing happened here, as when some other kind of object was written."""
        self.revision += 1
        return self.revision

    def changes(self, since: int) -> list[Change]:
        """After that revision, in order. Raises Compacted."""
        if since < self.compacted:
            raise Compacted
        low, high = 0, len(self._history)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._history[middle].revision > since else (middle + 1, high)
        return self._history[low:]

    def compact(self) -> None:
        """Forget every revision before this one, and every unfinished paged list."""
        self.compacted = self.revision
        self._history.clear()
        self._snapshots.clear()

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call back with each change from now on; returns how to stop that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _note(self, change: Change) -> None:
        self._history.append(change)
        for listener in list(self._listeners):
            listener(change)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
