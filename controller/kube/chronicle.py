"""Writes what becomes of functions as Events, so that `kubectl describe function` tells it. Needs `record` to be quick."""

from __future__ import annotations

from collections.abc import Callable

from controller.kube.names import API_VERSION
from controller.kube.render import Owner
from controller.progress import Event
from kube.occurrence import Occurrence, Regarding

Key = tuple[str, str]  # namespace, name
BUILT = {"Succeeded": True, "Cached": True, "Started": True}


class Chronicle:
    """Listens to the controller's progress."""

    def __init__(self, record: Callable[[Occurrence], None], owner: Callable[[str, str], Owner | None]) -> None:
        self._record, self._owner = record, owner

    def hear(self, key: Key, event: Event) -> None:
        """Record it where it is worth an Event."""
        owner = self._owner(*key)
        if owner is None or not worth(event):
            return
        about = Regarding(API_VERSION, "Function", owner.namespace, owner.name, owner.uid)
        good = BUILT.get(event.reason, False) if event.type == "Build" else event.status == "True"
        action = "Building" if event.type == "Build" else "Deploying"
        note = event.message or f"generation {event.generation}"
        self._record(Occurrence(about, "Normal" if good else "Warning", event.reason or event.type, action, note))


def worth(event: Event) -> bool:
    """What a build writes is in its log, and what is still under way in the status."""
    if event.type == "Build":
        return event.reason != "Output"
    return event.type == "Ready" and event.status in ("True", "False")
