"""A watched folder: what counts as a save."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cloudbase import watch


def test_a_save_between_the_first_look_and_the_first_wait_counts(tmp_path: Path) -> None:
    async def scenario() -> None:
        known = await watch.look(tmp_path)
        (tmp_path / "main.py").write_text("changed while the first deployment was under way")
        await asyncio.wait_for(anext(watch.saves(tmp_path, known, wait=0, still=0)), 10)

    (tmp_path / "main.py").write_text("one")
    asyncio.run(scenario())


def test_what_did_not_change_is_no_save(tmp_path: Path) -> None:
    async def scenario() -> int:
        saves = watch.saves(tmp_path, await watch.look(tmp_path), wait=0, still=0)
        waiting = asyncio.ensure_future(anext(saves))
        for _ in range(200):
            await asyncio.sleep(0)
        unchanged = not waiting.done()
        (tmp_path / "main.py").write_text("two, at last")
        await asyncio.wait_for(waiting, 10)
        return unchanged

    (tmp_path / "main.py").write_text("one")
    assert asyncio.run(scenario())
