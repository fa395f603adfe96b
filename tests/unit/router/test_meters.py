"""What a worker counts."""

from __future__ import annotations

import mmap

import pytest

from router.meters import (
    BOUNDS,
    BUCKETS,
    CELLS,
    CLASSES,
    CLOSED,
    COLD,
    COLD_PARTS,
    FAILED,
    FAILURES,
    FUNCTION_END,
    LATENCY,
    LATENCY_SUM,
    LOADED_AT,
    OPENED,
    OTHERS,
    PAGE,
    RECEIVED,
    REJECTED,
    REJECTIONS,
    RETRIED,
    SENT,
    UNSERVED,
    Meters,
    read_functions,
    read_page,
    read_worker,
)


def book(pages: int = 8) -> memoryview:
    return memoryview(bytearray(pages * PAGE))


def test_the_layout_fits_its_page() -> None:
    assert FUNCTION_END <= CELLS
    assert REJECTIONS + len(REJECTED) <= CELLS
    assert list(BOUNDS) == sorted(BOUNDS)


def test_a_finished_request_is_counted_by_class_and_bucket() -> None:
    buffer = book()
    row = Meters(buffer).open("hello")
    row.finished(204, 0.001, 10, 20)
    row.finished(503, 61.0, 1, 2)
    row.finished(0, 0.0, 0, 0)
    cells = read_functions(buffer)["hello"]
    assert cells[LATENCY + CLASSES.index("2xx") * BUCKETS + BOUNDS.index(0.001)] == 1
    assert cells[LATENCY + CLASSES.index("5xx") * BUCKETS + BUCKETS - 1] == 1
    assert cells[LATENCY + CLASSES.index("none") * BUCKETS] == 1
    assert sum(cells[LATENCY : LATENCY + len(CLASSES) * BUCKETS]) == 3
    assert cells[LATENCY_SUM] == 61_001_000
    assert (cells[RECEIVED], cells[SENT]) == (11, 22)


@pytest.mark.parametrize("status", [100, 199, 299, 399, 499, 599, 600, 999])
def test_every_status_has_a_class(status: int) -> None:
    buffer = book()
    Meters(buffer).open("hello").finished(status, 0.0, 0, 0)
    place = min(status // 100, 5)
    assert read_functions(buffer)["hello"][LATENCY + place * BUCKETS] == 1


def test_a_cold_start_is_counted_with_its_parts() -> None:
    buffer = book()
    Meters(buffer).open("hello").cold_start(0.001, 0.002, 0.3, 0.0005)
    cells = read_functions(buffer)["hello"]
    assert cells[COLD + BOUNDS.index(0.5)] == 1
    assert cells[COLD_PARTS : COLD_PARTS + 4] == (1000, 2000, 300_000, 500)


def test_each_other_fact_has_its_own_cell() -> None:
    buffer = book()
    row = Meters(buffer).open("hello")
    row.unserved("deadline")
    row.failed("reset")
    row.retried()
    row.upstream_opened()
    row.upstream_opened()
    row.upstream_closed()
    cells = read_functions(buffer)["hello"]
    assert cells[UNSERVED + 2] == 1
    assert cells[FAILED + FAILURES.index("reset")] == 1
    assert (cells[RETRIED], cells[OPENED], cells[CLOSED]) == (1, 2, 1)
    assert sum(cells[LATENCY:FUNCTION_END]) == 6


def test_the_load_is_kept_as_an_integral_that_never_shrinks() -> None:
    buffer = book()
    row = Meters(buffer).open("hello")
    row.load(10.0, 3, 1, 2.5, 7)
    row.load(11.5, 0, 0, 1.5, 0)
    cells = read_functions(buffer)["hello"]
    in_flight, waiting, area, arrived, at = cells[LOADED_AT - 4 : LOADED_AT + 1]
    assert (in_flight, waiting, area, arrived, at) == (0, 0, 4_000_000, 7, 11_500_000)


def test_the_worker_counts_its_connections_and_rejections() -> None:
    buffer = book()
    meters = Meters(buffer)
    meters.accepted()
    meters.gone()
    meters.rejected(431)
    meters.rejected(418)
    cells = read_worker(buffer)
    assert cells[19:21] == (1, 1)
    assert cells[REJECTIONS + REJECTED.index(431)] == 1
    assert cells[REJECTIONS + REJECTED.index(0)] == 1


def test_functions_without_a_page_share_one() -> None:
    buffer = book(pages=4)
    meters = Meters(buffer)
    rows = [meters.open(name) for name in ("a", "b", "c", "d")]
    for row in rows:
        row.retried()
    counted = read_functions(buffer)
    assert {name: cells[RETRIED] for name, cells in counted.items()} == {"a": 1, "b": 1, OTHERS: 2}
    meters.close(rows[2])
    assert OTHERS in read_functions(buffer)


def test_a_closed_row_leaves_and_its_page_starts_from_zero() -> None:
    buffer = book(pages=4)
    meters = Meters(buffer)
    old = meters.open("old")
    old.retried()
    meters.close(old)
    assert read_functions(buffer) == {}
    new = meters.open("new")
    old.retried()  # still in flight when its route went
    old.finished(200, 1.0, 1, 1)
    meters.close(old)
    assert sum(read_functions(buffer)["new"][LATENCY:FUNCTION_END]) == 0
    assert new.page == 1


def test_a_page_that_changes_its_owner_just_now_is_not_read() -> None:
    buffer = book()
    Meters(buffer).open("hello")
    cells = buffer.cast("Q")
    assert read_page(cells, 1) is not None
    cells[CELLS] += 1
    assert read_page(cells, 1) is None


def test_labels_of_any_two_dns_labels_fit_and_longer_ones_are_refused() -> None:
    buffer = book()
    name = f"{'n' * 63}.{'p' * 63}"
    Meters(buffer).open(name)
    assert list(read_functions(buffer)) == [name]
    with pytest.raises(ValueError, match="at most 128 bytes"):
        Meters(book()).open("x" * 129)


def test_a_buffer_that_is_no_book_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 pages"):
        Meters(memoryview(bytearray(PAGE)))
    with pytest.raises(ValueError, match="not a book"):
        read_worker(book())


def test_a_shared_mapping_is_read_while_it_is_written() -> None:
    with mmap.mmap(-1, 64 * mmap.PAGESIZE) as shared:
        whole = memoryview(shared)
        buffer = whole[: len(whole) // PAGE * PAGE]
        meters = Meters(buffer)
        row = meters.open("hello")
        for count in range(3):
            assert read_functions(buffer)["hello"][RETRIED] == count
            row.retried()
        del row, meters
        buffer.release()
        whole.release()
