"""Who follows a function's events misses none, and comes to an end."""

from __future__ import annotations

import asyncio

from controller.progress import KEPT, Progress

KEY = ("default", "f")


def reasons(progress: Progress, after: int = 0) -> list[str]:
    return [event.reason for event in progress.history(KEY, after)]


def test_events_are_kept_up_to_a_limit_and_can_be_read_from_an_id_on() -> None:
    progress = Progress(clock=lambda: 0.0)
    for number in range(KEPT + 5):
        progress.tell(KEY, "Build", reason=str(number))
    assert reasons(progress)[0] == "5"
    assert reasons(progress, after=KEPT + 3) == [str(KEPT + 3), str(KEPT + 4)]
    assert progress.history(("default", "other")) == []


def test_a_follower_gets_what_comes_while_it_reads_and_the_last_words() -> None:
    async def main() -> None:
        progress = Progress()
        progress.tell(KEY, "Build", reason="first")
        batches = progress.follow(KEY)
        assert [event.reason for event in await anext(batches)] == ["first"]
        progress.tell(KEY, "Build", reason="meanwhile")
        progress.end(KEY)
        assert [[event.reason for event in batch] async for batch in batches] == [["meanwhile"]]

    asyncio.run(main())


def test_a_follower_waits_without_an_event_and_ends_when_the_process_stops() -> None:
    async def main() -> None:
        progress = Progress()
        batches = progress.follow(KEY)
        assert await anext(batches) == []
        waiting = asyncio.ensure_future(anext(batches, None))
        await asyncio.sleep(0)
        assert not waiting.done()
        progress.close()
        assert await waiting in ([], None)

    asyncio.run(main())
