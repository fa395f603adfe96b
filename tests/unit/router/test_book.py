"""The memory of a worker's counters: large enough for any cluster, and nothing of it is taken before it is needed."""

from __future__ import annotations

import os

from autoscaler.model import Sample
from router.meters import OTHERS, Meters, read_functions
from router.samples import Samples
from router.workers import book

CLUSTER = 200_000  # functions: well beyond what any cluster has


def test_a_book_takes_no_memory_before_anything_is_written() -> None:
    fd = book.make()
    size, taken = os.fstat(fd).st_size, os.fstat(fd).st_blocks * 512
    book.open_book(fd).release()
    assert taken == 0 and size > CLUSTER * 1024


def test_the_twenty_thousandth_function_has_series_and_a_load_of_its_own() -> None:
    whole = book.open_book(book.make())
    meters = Meters(whole)
    for number in range(20_000):
        row = meters.open(f"function-{number}")
    row.load(10.0, 2, 1, 2.5, 7)
    meters.beat(10.0)
    read = Samples(whole).read()
    assert read == (10.0, {"function-19999": Sample(10.0, 2.5, 7, 3)})
    assert OTHERS not in read_functions(whole)
