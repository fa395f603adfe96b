"""What the controller counts, and how Prometheus reads it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controller import laps, meters
from controller.laps import Laps
from controller.memory import MemoryFunctionStore, MemorySourceStore
from controller.meters import REASONS, Distribution, Meters
from controller.metrics import FACTS, PREFIX, ControllerMetrics, reading
from controller.ports import BuildResult
from controller.reconcile import Reconciler
from router.model import RouteKey
from tests.shared.controller_world import VirtualLoop, WorldBuilder, WorldDeployer, WorldRoutes, run, spec

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()


def scrape(metrics: ControllerMetrics) -> dict[tuple[str, ...], float]:
    """(name after the prefix, label values in the order of their names) -> value, parsed back."""
    registry = CollectorRegistry()
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (each.name.removeprefix(PREFIX), *(value for _, value in sorted(each.labels.items()))): each.value
        for family in families
        for each in family.samples
    }


class Watched:
    """A reconciler in a small world, and its numbers."""

    def __init__(self, loop: VirtualLoop, builds: int) -> None:
        self.store, self.builder, self.deployer = MemoryFunctionStore(loop.wall), WorldBuilder(), WorldDeployer()
        self.reconciler = Reconciler(
            self.store, self.builder, self.deployer, WorldRoutes(), MemorySourceStore(), builds=builds, clock=loop.wall
        )

    def seen(self) -> dict[tuple[str, ...], float]:
        return scrape(ControllerMetrics(self.reconciler.meters, lambda: reading(self.store, self.reconciler)))


@asynccontextmanager
async def watched(loop: VirtualLoop, builds: int = 2) -> AsyncIterator[Watched]:
    it = Watched(loop, builds)
    task = asyncio.create_task(it.reconciler.run())
    yield it
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_builds_are_counted_by_outcome_with_what_they_took_and_waited() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with watched(loop, builds=1) as it:
            it.builder.open.clear()
            steps = (("start", 3.0), ("dependencies", 7.0))
            it.builder.results["a"] = BuildResult(artifact="sha256:a", steps=steps)
            it.builder.results["b"] = BuildResult(reason="SyntaxError", message="line 1", steps=(("check", 0.5),))
            await it.store.apply("default", "one", spec("a"))
            await asyncio.sleep(0.01)
            await it.store.apply("default", "two", spec("b"))
            await asyncio.sleep(15)
            before = it.seen()
            assert (before[("builds_running",)], before[("builds_waiting",)], before[("build_places",)]) == (1, 1, 1)
            it.builder.open.set()
            await asyncio.sleep(0.1)
            seen = it.seen()
            assert (seen[("builds_running",)], seen[("builds_waiting",)]) == (0, 0)
            assert {word: seen[("builds_total", word)] for word in meters.OUTCOMES} == {
                "succeeded": 1, "failed": 1, "cached": 0, "unavailable": 0, "stopped": 0,
            }  # fmt: skip
            assert seen[("build_failures_total", "SyntaxError")] == 1
            assert seen[("build_duration_seconds_sum", "succeeded")] == pytest.approx(15, abs=0.1)
            assert seen[("build_duration_seconds_bucket", "10", "succeeded")] == 0
            assert seen[("build_duration_seconds_bucket", "20", "succeeded")] == 1
            assert seen[("build_wait_seconds_count",)] == 2
            assert seen[("build_wait_seconds_sum",)] == pytest.approx(15, abs=0.1)
            assert {kind: seen[("build_step_seconds_total", kind)] for kind in ("start", "dependencies", "check")} == {
                "start": 3, "dependencies": 7, "check": 0.5,
            }  # fmt: skip

    run(test)


def test_what_may_pass_is_another_outcome_and_so_are_a_build_found_done_and_one_that_nobody_needs() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with watched(loop) as it:
            it.builder.results["a"] = BuildResult(reason="RegistryUnavailable", message="no answer", may_pass=True)
            it.builder.results["b"] = BuildResult(artifact="sha256:b", cached=True)
            await it.store.apply("default", "one", spec("a"))
            await it.store.apply("default", "two", spec("b"))
            await asyncio.sleep(1)
            it.builder.open.clear()
            await it.store.apply("default", "three", spec("c"))
            await asyncio.sleep(0.01)
            await it.store.apply("default", "three", spec("d"))
            await asyncio.sleep(0.01)
            seen = it.seen()
            assert [seen[("builds_total", word)] for word in ("unavailable", "cached", "stopped")] == [1, 1, 1]
            assert seen[("build_duration_seconds_count", "succeeded")] == 0  # to find one done is no build

    run(test)


def test_looks_are_counted_with_their_result_and_what_they_waited() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with watched(loop) as it:
            await it.store.apply("default", "hello", spec())
            await asyncio.sleep(1)
            well = it.seen()
            assert (well[("functions",)], well[("functions_ready",)], well[("workqueue_depth",)]) == (1, 1, 0)
            assert well[("reconcile_total", "success")] == well[("reconcile_time_seconds_count",)] > 0
            assert well[("reconcile_total", "error")] == well[("workqueue_retries_total",)] == 0
            assert 0 < well[("workqueue_queue_duration_seconds_count",)] <= well[("reconcile_time_seconds_count",)]
            it.deployer.fails = 1
            it.reconciler.scale_to(RouteKey("*", "default", "hello"), 2, "busy")
            assert it.seen()[("workqueue_depth",)] == 1
            await asyncio.sleep(1)
            ill = it.seen()
            assert ill[("reconcile_total", "error")] == ill[("workqueue_retries_total",)] == 1
            assert ill[("reconcile_total", "success")] > well[("reconcile_total", "success")]

    run(test)


def test_a_value_counts_in_the_bucket_that_it_bounds() -> None:
    found = Distribution((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        found.add(value)
    assert (found.counts, found.sum) == ([2, 1, 1], 12.0)


def test_reasons_that_a_container_makes_up_do_not_make_series_without_end() -> None:
    it = Meters()
    for number in range(3 * REASONS):
        it.build_ended(BuildResult(reason=f"Reason{number}"), 1.0)
    assert (len(it.build_failures), it.build_failures["_other"]) == (REASONS + 1, 2 * REASONS)


def test_all_time_of_a_build_belongs_to_one_kind_of_step() -> None:
    it = Laps("start", 100.0)
    it.turn("base", 103.0)
    it.turn("run", 104.0)
    it.turn("run", 106.0)
    it.turn("base", 107.0)
    assert dict(it.stop(109.0)) == {"start": 3.0, "base": 3.0, "run": 3.0}


def test_the_page_lists_every_metric_word_and_bucket_and_no_other() -> None:
    rows = re.findall(r"^\| `cloudbase_controller_(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)
    expected = {name: f"{it.kind} | {', '.join(it.labels) or '-'} | {it.unit} | {it.meaning}" for name, it in FACTS.items()}
    assert dict(rows) == expected and len(rows) == len(expected)
    for word in (*meters.RESULTS, *meters.OUTCOMES):
        assert f"`{word}`" in PAGE
    assert set(re.findall(r"`(\w+)` \(", PAGE.split("- `step`: ")[1].split("\n- ")[0])) == set(laps.KINDS)
    for bounds in (meters.LOOKS, meters.BUILDS):
        assert ", ".join(f"{bound:g}" for bound in bounds) in " ".join(PAGE.split())


def test_a_controller_that_has_done_nothing_has_a_series_of_everything_but_failures() -> None:
    async def test(loop: VirtualLoop) -> None:
        it = Watched(loop, builds=2)
        names = {key[0] for key in it.seen()}
        alone = {name for name, fact in FACTS.items() if fact.kind != "histogram"} - {"leading", "api_requests_total"}
        assert alone - names == {"build_failures_total"}
        assert {key[1] for key in it.seen() if key[0] == "build_step_seconds_total"} == set(laps.KINDS)

    run(test)


def test_what_is_scraped_is_what_is_listed() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with watched(loop) as it:
            gauges = {"leading": 1.0, **reading(it.store, it.reconciler)}
            found = ControllerMetrics(it.reconciler.meters, lambda: gauges, {("get", "200"): 3})
            told = {each.name + "_total" * (each.type == "counter"): each for each in found.collect()}
            assert {name.removeprefix(PREFIX) for name in told} == set(FACTS)
            assert {name.removeprefix(PREFIX): each.type for name, each in told.items()} == {n: f.kind for n, f in FACTS.items()}

    run(test)
