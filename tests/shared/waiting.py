"""Waits for what happens in another task, process or machine: for a condition, with a deadline, never for a time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def until(holds: Callable[[], Any], within: float = 60.0, every: float = 0.005) -> None:
    """Look, after so many seconds again, until it holds; `holds` may be a coroutine function. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while not await _value(holds()):  # noqa: ASYNC110 - what it is about knows nothing of this test
            await asyncio.sleep(every)


async def _value(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found
