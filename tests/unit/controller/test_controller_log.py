"""What the controller's log says of a function: what is new, not what goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import logging

import pytest

from tests.shared.controller_world import VirtualLoop, run, spec
from tests.unit.controller.reconcile_world import world


def test_a_crash_loop_that_counts_on_is_followed_by_its_events_and_said_once_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            w.deployer.broken.add("sha256:artifact-a")
            await w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.01)
            for why in ("3 times in a row, next start in 0.2 s", "4 times in a row, next start in 0.4 s", "no database"):
                (replica,) = w.deployer.observe("default", "hello")
                w.deployer.replicas["default", "hello"] = [dataclasses.replace(replica, message=why)]
                w.deployer.changed("default", "hello")
                await asyncio.sleep(0.01)
            assert "no database" in w.condition("Ready").message

    caplog.set_level(logging.INFO)
    run(test)
    told = [each.getMessage() for each in caplog.records if "Ready is False" in each.getMessage()]
    assert ["SyntaxError: bad" in told[0], "3 times" in told[1], "no database" in told[2]] == [True] * 3
    assert len(told) == 3
