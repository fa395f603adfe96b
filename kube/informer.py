"""Keeps a copy of what the API server has of one kind, in one, several or all namespaces, and tells of every change.

List, then watch from the list's version; resume where a watch ended; list again only when the server has forgotten that version
(410, as a status or as an ERROR event). Between the two no change is lost: what a relist finds different is told like an event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from typing import Generic, TypeVar

from kube.cache import Delta
from kube.client import Client
from kube.codec import Key
from kube.model import Object
from kube.reflector import PACE, Pace, Reflector, State
from kube.resource import Resource
from kube.watch import Scope

T = TypeVar("T", bound=Object)
log = logging.getLogger(__name__)

Handler = Callable[[Delta[T]], None]


class Informer(Generic[T]):
    """`await run()` in a task of your own; everything else may be called at any time from the same loop.

    namespaces: the ones to look at; none = all, with one list and one watch. Selectors are in Kubernetes' notation.
    """

    def __init__(
        self, client: Client, resource: Resource[T], *, namespaces: Collection[str] = (), labels: str = "", fields: str = "",
        pace: Pace = PACE,
    ) -> None:  # fmt: skip
        self.resource = resource
        self.handler_errors = 0
        self._handlers: list[Handler[T]] = []
        self._synced = asyncio.Event()
        self._reflectors = {
            namespace: Reflector(client, resource, Scope(namespace, labels, fields), self._dispatch, self._note_sync, pace)
            for namespace in (namespaces or ("",))
        }

    async def run(self) -> None:
        """Follow the collection until cancelled. Whatever the API server does, this goes on and tries again."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors.values():
                group.create_task(reflector.run(), name=f"watch {self.resource.title} {reflector.scope}")

    def subscribe(self, handler: Handler[T]) -> None:
        """Call back with every delta, first with one "added" for each object that is known already.

        A handler is called in the loop, in order, and must return soon. One that raises is logged and loses that delta only.
        One that subscribes between two deltas of a relist may be told of an object twice, never of too few.
        """
        self._handlers.append(handler)
        for key, item in list(self.items()):
            self._call(handler, Delta("added", key, None, item))

    def get(self, namespace: str, name: str) -> T | None:
        reflector = self._reflectors.get(namespace) or self._reflectors.get("")
        return reflector.cache.objects.get(Key(namespace, name)) if reflector else None

    def items(self) -> Iterator[tuple[Key, T]]:
        """Everything known. Take a list() of it where changes may come in between."""
        return chain.from_iterable(reflector.cache.objects.items() for reflector in self._reflectors.values())

    def __len__(self) -> int:
        return sum(len(reflector.cache.objects) for reflector in self._reflectors.values())

    @property
    def synced(self) -> bool:
        """Every namespace has been listed once."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        await self._synced.wait()

    @property
    def last_contact(self) -> float:
        """Monotonic seconds of the last sign of life of the quietest of the watches; 0 = never."""
        return min(reflector.state.last_contact for reflector in self._reflectors.values())

    def states(self) -> dict[str, State]:
        """For metrics and readiness, by namespace ("" = all)."""
        return {namespace: reflector.state for namespace, reflector in self._reflectors.items()}

    def _note_sync(self) -> None:
        if all(reflector.state.synced for reflector in self._reflectors.values()):
            self._synced.set()

    def _dispatch(self, delta: Delta[T]) -> None:
        for handler in self._handlers:
            self._call(handler, delta)

    def _call(self, handler: Handler[T], delta: Delta[T]) -> None:
        try:
            handler(delta)
        except Exception:
            # One object that a handler cannot cope with must not keep it from all the others.
            self.handler_errors += 1
            log.exception("%s %s: the handler of %r failed", self.resource.title, "/".join(delta.key), delta.kind)
