"""The autoscaler's samples, read by the control process from the books of its workers. No clock and no socket in here.

Of 10,000 functions most are idle: a page whose load was not written again costs two looks at it.
"""

from __future__ import annotations

from autoscaler.model import Sample
from router.meters import AREA, ARRIVED, BEAT, CELLS, GENERATION, IN_FLIGHT, LOADED_AT, PAGES, WAITING, read_page, read_worker


class _Page:
    """What was read of a page last."""

    __slots__ = ("area", "arrived", "generation", "idle_since")

    def __init__(self, generation: int) -> None:
        self.generation = generation  # of its owner: another one, and everything begins anew
        self.idle_since = -1  # LOADED_AT when nothing was there any more; -1: something is
        self.area = self.arrived = 0


class Samples:
    """What one worker's book says at each of its beats, as differences from the beat before."""

    __slots__ = ("_at", "_buffer", "_cells", "_pages")

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._cells = buffer.cast("B").cast("Q")
        self._at = 0  # microseconds
        self._pages: dict[int, _Page] = {}

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
        cells, pages = self._cells, self._pages
        for number in range(1, cells[PAGES]):
            page, first = pages.get(number), number * CELLS
            if page is not None and page.idle_since == cells[first + LOADED_AT] and page.generation == cells[first + GENERATION]:
                continue
            self._read_page(number, page, seconds, samples)
        return at / 1e6, samples

    def _read_page(self, number: int, page: _Page | None, seconds: float, samples: dict[str, Sample]) -> None:
        read = read_page(self._cells, number)
        if read is None:
            self._pages.pop(number, None)
            return
        label, cells = read
        if page is None or page.generation != cells[GENERATION]:
            page = self._pages[number] = _Page(cells[GENERATION])
        area, arrived = cells[AREA] - page.area, cells[ARRIVED] - page.arrived
        present = cells[IN_FLIGHT] + cells[WAITING]
        page.area, page.arrived, page.idle_since = cells[AREA], cells[ARRIVED], -1 if present else cells[LOADED_AT]
        if present or area or arrived:
            samples[label] = Sample(self._at / 1e6, area / 1e6 / seconds, arrived, present)
