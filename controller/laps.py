"""How long each kind of step of a build took. No clock in here: the time comes by argument."""

from __future__ import annotations

from typing import Final

KINDS: Final = {  # as docs/metrics.md lists them
    "start": "until the build's pod runs: a node, images, the source laid down",
    "unpack": "the source, on one machine",
    "base": "the base image, fetched and unpacked",
    "check": "the entry's syntax, on one machine",
    "dependencies": "npm or pip install",
    "compile": "Python's files, on one machine",
    "cache": "layers of an earlier build, unpacked",
    "run": "other RUN instructions of a Dockerfile",
    "copy": "its other instructions",
    "push": "the image, sent to the registry",
}


class Laps:
    """A stopwatch: all time since `began` belongs to one of KINDS."""

    def __init__(self, kind: str, began: float) -> None:
        self._kind, self._since = kind, began
        self._seconds: dict[str, float] = {}

    def turn(self, kind: str, now: float) -> None:
        """From now on it is at this kind of step."""
        self._seconds[self._kind] = self._seconds.get(self._kind, 0.0) + max(0.0, now - self._since)
        self._kind, self._since = kind, now

    def stop(self, now: float) -> tuple[tuple[str, float], ...]:
        """Seconds by kind until now."""
        self.turn(self._kind, now)
        return tuple(self._seconds.items())
