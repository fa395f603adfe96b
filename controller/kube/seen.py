"""What is known of one kind of our objects: the informer's view, and over it what we wrote and it has not seen yet.

Without the second a look that follows a write at once would not find it, and do it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from controller.kube.names import FUNCTION
from kube.cache import Delta, key_of
from kube.client import Client
from kube.codec import Key
from kube.informer import Informer
from kube.model import Object
from kube.resource import Resource

T = TypeVar("T", bound=Object)


class Seen(Generic[T]):
    """Objects by name and by the function that they are labelled with. Run `informer` in a task."""

    def __init__(self, client: Client, resource: Resource[T], *, namespaces: Collection[str] = (), labels: str = "") -> None:
        self.informer: Informer[T] = Informer(client, resource, namespaces=namespaces, labels=labels)
        self._written: dict[Key, T | None] = {}  # None: deleted
        self._of: dict[tuple[str, str], set[Key]] = {}
        self._watchers: list[Callable[[str, str], None]] = []
        self.informer.subscribe(self._heard)

    def watch(self, changed: Callable[[str, str], None]) -> None:
        """Call back with (namespace, function) after every change; without such a label it is the object's own name."""
        self._watchers.append(changed)

    def get(self, namespace: str, name: str) -> T | None:
        key = Key(namespace, name)
        return self._written[key] if key in self._written else self.informer.get(namespace, name)

    def of(self, namespace: str, function: str) -> list[T]:
        """All of a function, by name."""
        keys = sorted(self._of.get((namespace, function), ()))
        return [found for key in keys if (found := self.get(*key)) is not None]

    def all(self) -> list[T]:
        keys = sorted({key for keys in self._of.values() for key in keys})
        return [found for key in keys if (found := self.get(*key)) is not None]

    def wrote(self, item: T) -> T:
        """The API server answered a write with this."""
        key = key_of(item)
        known = self.informer.get(*key)
        if known is None or _version(known) < _version(item):
            self._written[key] = item
            self._of.setdefault(_function(item), set()).add(key)
        return item

    def deleted(self, namespace: str, name: str) -> None:
        """It is gone, or about to go: the API server took our request."""
        if self.informer.get(namespace, name) is not None:
            self._written[Key(namespace, name)] = None
        else:
            self._written.pop(Key(namespace, name), None)

    def _heard(self, delta: Delta[T]) -> None:
        changed = delta.new or delta.old
        assert changed is not None
        if not self._outdated(delta, changed):
            self._written.pop(delta.key, None)
        for item, add in ((delta.old, False), (self.get(*delta.key), True)):
            if item is not None:
                keys = self._of.setdefault(_function(item), set())
                (keys.add if add else keys.discard)(delta.key)
                if not keys:
                    del self._of[_function(item)]
        for watcher in self._watchers:
            watcher(*_function(changed))

    def _outdated(self, delta: Delta[T], changed: T) -> bool:
        """What we wrote is newer than what is told: a later version, or what was made anew under the name of what went."""
        written = self._written.get(delta.key)
        if written is None:
            return False
        if delta.new is None:
            return written.metadata.uid != changed.metadata.uid
        return _version(changed) < _version(written)


def _version(item: Object) -> int:
    """Versions of one kind are numbers that grow, as Kubernetes says since 1.35; before, all that stored in etcd did so."""
    text = item.metadata.resource_version
    return int(text) if text.isdecimal() else 0


def _function(item: Object) -> tuple[str, str]:
    metadata = item.metadata
    return metadata.namespace, (metadata.labels or {}).get(FUNCTION) or metadata.name
