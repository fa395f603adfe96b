"""What routers tell each other every second, also those of another version."""

from __future__ import annotations

import msgspec

from autoscaler.model import Sample
from router.kube.peers.batch import Batch, Row, decode, encode, lost_of, rows_of
from tests.shared.kube_objects import KEY


class Earlier(msgspec.Struct, array_like=True):
    number: int
    age: float
    rows: list[Row]


SAMPLES = {KEY: Sample(0.0, 1.5, 3, 2)}
LOST = {KEY: frozenset({"10.0.0.1:8080", "[fd00::1]:8080"})}


def test_a_batch_arrives_as_it_was() -> None:
    batch = decode(encode(Batch(7, 0.5, rows_of(SAMPLES), lost_of(LOST))))
    assert (batch.number, batch.age, batch.samples(0.0), batch.unreachable()) == (7, 0.5, SAMPLES, LOST)


def test_a_router_of_an_earlier_version_is_read_and_reads() -> None:
    earlier = Earlier(7, 0.5, rows_of(SAMPLES))
    assert decode(msgspec.msgpack.encode(earlier)) == Batch(7, 0.5, rows_of(SAMPLES))
    now = encode(Batch(7, 0.5, rows_of(SAMPLES), lost_of(LOST)))
    assert msgspec.msgpack.decode(now, type=Earlier) == earlier
