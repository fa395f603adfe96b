"""The state of one collection, kept from list pages and watch events; says what changed. No clock, socket or task in here.

    cache.begin(); cache.page(page) ...; deltas = cache.finish()     # a list, the first or a later one
    delta = cache.apply(event)                                       # one line of the watch that follows it

Kubernetes' rules: resourceVersions are opaque, a list is a consistent snapshot at its version, a watch from that version brings
every later change once and in order, and a bookmark only moves the version on (KEP-956).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from kube.codec import Broken, Key, Page, WatchEvent
from kube.model import Object

T = TypeVar("T", bound=Object)
Kind = Literal["added", "modified", "deleted"]


@dataclass(frozen=True, slots=True)
class Delta(Generic[T]):
    """One change: added has only new, deleted only old (as last seen), modified both."""

    kind: Kind
    key: Key
    old: T | None
    new: T | None


def key_of(item: Object) -> Key:
    return Key(item.metadata.namespace, item.metadata.name)


class Cache(Generic[T]):
    """Objects of one collection by key. `resource_version` is where a watch has to go on; "" = list first."""

    def __init__(self) -> None:
        self.objects: dict[Key, T] = {}
        self.resource_version = ""
        self.broken: dict[Key, str] = {}  # objects that cannot be decoded: what is wrong; their last good state stays
        self._listed: dict[Key, T] | None = None
        self._listed_broken: dict[Key, str] = {}
        self._listed_version = ""

    def begin(self) -> None:
        """Start a list; an unfinished one is forgotten."""
        self._listed, self._listed_broken, self._listed_version = {}, {}, ""

    def page(self, page: Page[T]) -> None:
        """Take one page. An object that we have in the same version is kept, so that a relist does not double the memory."""
        if self._listed is None:
            raise RuntimeError("page() before begin()")
        for item in page.items:
            key = key_of(item)
            known = self.objects.get(key)
            self._listed[key] = known if known is not None and _same(known, item) else item
        for broken in page.broken:
            self._listed_broken[broken.key] = broken.message
            if broken.key in self.objects:
                self._listed[broken.key] = self.objects[broken.key]
        self._listed_version = page.resource_version

    def finish(self) -> list[Delta[T]]:
        """The list is whole: become it, and say what is different from before."""
        if self._listed is None:
            raise RuntimeError("finish() before begin()")
        before, after = self.objects, self._listed
        self.objects, self.broken, self.resource_version = after, self._listed_broken, self._listed_version
        self._listed, self._listed_broken = None, {}
        return list(_differences(before, after))

    def apply(self, event: WatchEvent[T]) -> Delta[T] | None:
        """Take one event other than ERROR; None when nothing changed: a bookmark, or what we knew already."""
        if event.broken is not None:
            return self._apply_broken(event.type, event.broken)
        if event.object is None:
            raise ValueError(f"{event.type} event without an object")
        self.resource_version = event.object.metadata.resource_version
        if event.type == "BOOKMARK":
            return None
        if event.type == "DELETED":
            return self._remove(key_of(event.object))
        return self._put(event.object)

    def _put(self, item: T) -> Delta[T] | None:
        key = key_of(item)
        old = self.objects.get(key)
        self.broken.pop(key, None)
        if old is not None and _same(old, item):
            return None
        self.objects[key] = item
        return Delta("modified" if old is not None else "added", key, old, item)

    def _remove(self, key: Key) -> Delta[T] | None:
        self.broken.pop(key, None)
        old = self.objects.pop(key, None)
        return None if old is None else Delta("deleted", key, old, None)

    def _apply_broken(self, type: str, broken: Broken) -> Delta[T] | None:
        self.resource_version = broken.resource_version
        if type == "DELETED":
            return self._remove(broken.key)
        self.broken[broken.key] = broken.message
        return None


def _same(one: Object, other: Object) -> bool:
    a, b = one.metadata, other.metadata
    return a.resource_version == b.resource_version and a.uid == b.uid


def _differences(before: dict[Key, T], after: dict[Key, T]) -> Iterator[Delta[T]]:
    """Deletions first. An object that was deleted and made anew meanwhile (another uid) is both."""
    for key, old in before.items():
        new = after.get(key)
        if new is None or new.metadata.uid != old.metadata.uid:
            yield Delta("deleted", key, old, None)
    for key, new in after.items():
        known = before.get(key)
        if known is None or known.metadata.uid != new.metadata.uid:
            yield Delta("added", key, None, new)
        elif known is not new:
            yield Delta("modified", key, known, new)
