"""What kube.recorder promises, over the fake API server and over a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from kube.occurrence import BURST, Occurrence, Regarding
from kube.recorder import Recorder
from kube.resource import EVENTS
from kube.watch import Scope
from tests.shared.kube_world import World, on_both


@asynccontextmanager
async def recording(world: World) -> AsyncIterator[Recorder]:
    recorder = Recorder(world.client, "cloudbase.dev/test", "test-1")
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def occurrence(world: World) -> Occurrence:
    about = Regarding("v1", "Service", world.namespace, "hello", "0d5c0a3c-0000-0000-0000-000000000001")
    return Occurrence(about, "Warning", "BadAnnotation", "Routing", "cloudbase.dev/target: 'many' is no number")


async def events(world: World) -> list[dict[str, Any]]:
    return await world.client.list(EVENTS, Scope(world.namespace))


@on_both
async def test_an_event_says_what_is_wrong_with_which_object_and_who_found_it(world: World) -> None:
    async with recording(world) as recorder:
        recorder.record(occurrence(world))
        await recorder.flush()
    [event] = await events(world)
    assert event["note"] == "cloudbase.dev/target: 'many' is no number"
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "BadAnnotation", "Routing")
    assert event["regarding"]["name"] == "hello" and event["reportingController"] == "cloudbase.dev/test"
    assert (recorder.written, recorder.failed) == (1, 0)


@on_both
async def test_the_same_thing_again_counts_in_one_event(world: World) -> None:
    async with recording(world) as recorder:
        for _ in range(5):
            recorder.record(occurrence(world))
        await recorder.flush()
    [event] = await events(world)
    assert event["series"]["count"] == 2  # further ones are reported after a while only
    assert recorder.written == 2


@on_both
async def test_one_object_cannot_cause_more_than_a_burst(world: World) -> None:
    async with recording(world) as recorder:
        for number in range(BURST + 10):
            recorder.record(replace(occurrence(world), note=f"note {number}"))
        await recorder.flush()
    assert len(await events(world)) == BURST
    assert recorder.dropped == 10


@on_both
async def test_a_series_whose_event_is_gone_becomes_a_new_one(world: World) -> None:
    async with recording(world) as recorder:
        recorder.record(occurrence(world))
        await recorder.flush()
        [event] = await events(world)
        await world.client.delete(EVENTS, event["metadata"]["name"], world.namespace)
        recorder.record(occurrence(world))
        await recorder.flush()
    assert len(await events(world)) == 1 and recorder.failed == 0


@on_both
async def test_what_cannot_be_written_is_counted_and_tried_anew_next_time(world: World) -> None:
    async with recording(world) as recorder:
        bad = replace(occurrence(world), reason="x" * 200)  # longer than the API server allows
        if world.server is not None:
            from kube.fake.faults import Refusal

            world.server.faults.refusals.append(Refusal(422, verb="create"))
        recorder.record(bad)
        await recorder.flush()
        assert (recorder.written, recorder.failed) == (0, 1)
        recorder.record(occurrence(world))
        await recorder.flush()
    assert recorder.written == 1
