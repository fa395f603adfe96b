"""The functions' part of /metrics as text, made by hand: 10,000 of them take prometheus_client 2.5 s.

Only what changed since the last scrape is written anew. A test holds it equal to what prometheus_client makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import add
from struct import unpack
from typing import Final

from prometheus_client.utils import floatToGoString

from router import meters

Cells = tuple[int, ...]
Lines = tuple[bytes, ...]  # of one function, by metric in the order of FACTS' functions' part

LABELS: Final = 65_536  # names remembered, those of deleted functions included

_PREFIX: Final = "cloudbase_router_"
_LAST_LATENCY: Final = meters.LATENCY + len(meters.CLASSES) * meters.BUCKETS
_PLAIN: Final = (
    ("retries_total", meters.RETRIED),
    ("received_bytes_total", meters.RECEIVED),
    ("sent_bytes_total", meters.SENT),
    ("upstream_opened_total", meters.OPENED),
)
_WORDS: Final = (
    ("unserved_total", "reason", meters.UNSERVED, meters.REASONS),
    ("upstream_failures_total", "failure", meters.FAILED, meters.FAILURES),
)


class Exposition:
    """Remembers the lines of each function, and of what they were made: some 3 KiB for each that was called."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[tuple[int, ...], Lines]] = {}
        self._labels: dict[bytes, str] = {}

    def rows(self, books: Sequence[memoryview], past: Mapping[str, Cells]) -> dict[str, Lines]:
        """The lines of every function, from all books and what dead workers counted."""
        if len(self._labels) > LABELS:
            self._labels.clear()
        found: dict[str, list[bytes]] = {label: [] for label in past}
        for book in books:
            view = book.cast("B")
            for page in range(1, book.cast("B").cast("Q")[meters.PAGES]):
                raw = bytes(view[page * meters.PAGE : (page + 1) * meters.PAGE])
                label = self._label(raw)
                if label:
                    found.setdefault(label, []).append(raw)
        self._lines = {label: self._of(label, pages, past.get(label)) for label, pages in found.items()}
        return {label: lines for label, (_, lines) in self._lines.items()}

    def _label(self, raw: bytes) -> str:
        """Whose page it is; "" when it is nobody's, or its owner is changing just now."""
        if raw[meters.GENERATION] & 1 if _LITTLE else raw[7] & 1:
            return ""
        name = raw[8 : 8 + meters.LABEL_BYTES]
        known = self._labels.get(name)
        if known is None:
            known = self._labels[name] = name.rstrip(b"\0").decode()
        return known

    def _of(self, label: str, pages: list[bytes], past: Cells | None) -> tuple[tuple[int, ...], Lines]:
        made_of = (hash(past), *map(hash, pages))
        known = self._lines.get(label)
        if known is not None and known[0] == made_of:
            return known
        cells: Cells = past or ()
        for raw in pages:
            taken = unpack(f"{meters.CELLS}Q", raw)
            cells = tuple(map(add, cells, taken)) if cells else taken
        return made_of, lines_of(label, cells)


_LITTLE: Final = unpack("Q", b"\1" + bytes(7))[0] == 1


def lines_of(label: str, cells: Cells) -> Lines:
    """One function's lines, by metric."""
    latency = [cells[at : at + meters.BUCKETS] for at in range(meters.LATENCY, _LAST_LATENCY, meters.BUCKETS)]
    counts = [(code, sum(buckets)) for code, buckets in zip(meters.CLASSES, latency, strict=True)]
    cold = cells[meters.COLD : meters.COLD + meters.BUCKETS]
    parts = zip(meters.PARTS, cells[meters.COLD_PARTS :], strict=False)
    return (
        _each("requests_total", "code", label, [(code, value(count)) for code, count in counts if count]),
        _histogram("request_duration_seconds", label, list(map(sum, zip(*latency, strict=True))), cells[meters.LATENCY_SUM]),
        _histogram("cold_start_seconds", label, cold, cells[meters.COLD_SUM]) if any(cold) else b"",
        _each("cold_start_part_seconds_total", "part", label, [(part, value(count * 1e-6)) for part, count in parts if count]),
        *(
            _each(name, word, label, [(one, value(n)) for one, n in zip(words, cells[at:], strict=False) if n])
            for name, word, at, words in _WORDS
        ),
        *(_line(name, label, cells[at]) for name, at in _PLAIN),
        _line("upstream_connections", label, cells[meters.OPENED] - cells[meters.CLOSED]),
        _line("in_flight", label, cells[meters.IN_FLIGHT]),
        _line("waiting", label, cells[meters.WAITING]),
    )


def value(number: float) -> str:
    """As prometheus_client writes it."""
    if isinstance(number, int) and 0 <= number < 1_000_000:
        return f"{number}.0"
    return str(floatToGoString(number))  # type: ignore[no-untyped-call]


def _line(name: str, label: str, number: int) -> bytes:
    return f'{_PREFIX}{name}{{function="{label}"}} {value(number)}\n'.encode()


def _each(name: str, word: str, label: str, rows: list[tuple[str, str]]) -> bytes:
    """A second label with fixed words; labels stand in the order of the alphabet."""
    first = word < "function"
    return "".join(
        f'{_PREFIX}{name}{{{word}="{one}",function="{label}"}} {number}\n'
        if first
        else f'{_PREFIX}{name}{{function="{label}",{word}="{one}"}} {number}\n'
        for one, number in rows
    ).encode()


def _histogram_template(name: str) -> str:
    buckets = [f'{_PREFIX}{name}_bucket{{function="%(label)s",le="{bound}"}} %%s\n' for bound in (*meters.BOUNDS, "+Inf")]
    return "".join([*buckets, *(f'{_PREFIX}{name}_{what}{{function="%(label)s"}} %%s\n' for what in ("count", "sum"))])


_TEMPLATES: Final = {name: _histogram_template(name) for name in ("request_duration_seconds", "cold_start_seconds")}


def _histogram(name: str, label: str, counts: Sequence[int], microseconds: int) -> bytes:
    added = list(map(value, accumulate(counts)))
    return (_TEMPLATES[name] % {"label": label} % (*added, added[-1], value(microseconds / 1e6))).encode()
