"""The autoscaler's samples, read by the control process from the books of its workers. No clock and no socket in here."""

from __future__ import annotations

from autoscaler.model import Sample
from router.meters import AREA, ARRIVED, BEAT, IN_FLIGHT, WAITING, read_functions, read_worker


class Samples:
    """What one worker's book says at each of its beats, as differences from the beat before."""

    __slots__ = ("_at", "_before", "_buffer")

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._at = 0  # microseconds
        self._before: dict[str, tuple[int, int]] = {}  # by label: integral and arrivals

    def read(self) -> tuple[float, dict[str, Sample]] | None:
        """End of the interval (monotonic seconds) and the samples by label, idle functions left out.

        None as long as the worker has not beaten again: its recorder then knows that a batch is missing.
        """
        at = read_worker(self._buffer)[BEAT]
        if at == self._at:
            return None
        seconds = (at - self._at) / 1e6 if self._at else 1.0
        self._at = at
        samples: dict[str, Sample] = {}
        after: dict[str, tuple[int, int]] = {}
        for label, cells in read_functions(self._buffer).items():
            area, arrived = after[label] = cells[AREA], cells[ARRIVED]
            before = self._before.get(label, (0, 0))
            if area < before[0] or arrived < before[1]:
                before = (0, 0)  # the function went and came back
            present = cells[IN_FLIGHT] + cells[WAITING]
            if present or (area, arrived) != before:
                samples[label] = Sample(at / 1e6, (area - before[0]) / 1e6 / seconds, arrived - before[1], present)
        self._before = after
        return at / 1e6, samples
