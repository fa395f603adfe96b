"""One second of one router as bytes: number, age, load of the routes that were not idle, whom it cannot reach. No clock here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from autoscaler.model import Sample
from router.model import RouteKey

Row = tuple[str, str, str, float, int, int]  # host, project, name, concurrency, requests, present
Lost = tuple[str, str, str, frozenset[str]]  # host, project, name, addresses that cannot be reached


class Batch(msgspec.Struct, array_like=True):
    number: int  # counts up in one member's life; a batch may be sent twice
    age: float  # seconds from its end to its being sent
    rows: list[Row]
    lost: list[Lost] = []  # routers of an earlier version send none

    def samples(self, at: float) -> dict[RouteKey, Sample]:
        """As the recorder takes them; `at`: monotonic seconds of ours at which its second ended."""
        return {
            RouteKey(host, project, name): Sample(at, concurrency, requests, present)
            for host, project, name, concurrency, requests, present in self.rows
        }

    def unreachable(self) -> dict[RouteKey, frozenset[str]]:
        """Addresses, by route."""
        return {RouteKey(host, project, name): addresses for host, project, name, addresses in self.lost}


def rows_of(samples: Mapping[RouteKey, Sample]) -> list[Row]:
    """Samples as they travel."""
    return [(*key, one.concurrency, one.requests, one.present) for key, one in samples.items()]


def lost_of(unreachable: Mapping[RouteKey, frozenset[str]]) -> list[Lost]:
    """Addresses as they travel."""
    return [(*key, addresses) for key, addresses in unreachable.items()]


def encode(batch: Batch) -> bytes:
    """About 50 bytes for each route."""
    return _ENCODER.encode(batch)


def decode(content: bytes) -> Batch:
    """Raises ValueError for what another version wrote."""
    return _DECODER.decode(content)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Batch)
