"""Requests at a steady rate, and what came of each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

RATE = 200  # requests a second


@dataclass
class Load:
    """Requests at a steady rate until it is left; what came of them."""

    codes: Counter[int] = field(default_factory=Counter)
    pods: Counter[str] = field(default_factory=Counter)
    last: dict[str, float] = field(default_factory=dict)  # pod -> when the last request that it answered began, monotonic seconds
    wrong: list[str] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)  # when those began that were not answered with 200, by the monotonic clock


@asynccontextmanager
async def steady(url: str, rate: float = RATE) -> AsyncIterator[Load]:
    load, stop = Load(), asyncio.Event()
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)

    async def one(http: httpx2.AsyncClient) -> None:
        began = time.monotonic()
        try:
            answer = await http.get(url)
        except httpx2.TransportError as error:
            load.codes[0] += 1
            load.wrong.append(repr(error))
            load.failed.append(began)
            return
        load.codes[answer.status_code] += 1
        if answer.status_code == 200:
            pod = answer.json().get("pod", "")  # where the program says it
            load.pods[pod] += 1
            load.last[pod] = max(began, load.last.get(pod, 0.0))
        else:
            load.wrong.append(answer.text)
            load.failed.append(began)

    async def arrivals(http: httpx2.AsyncClient) -> None:
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                group.create_task(one(http))
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=60, limits=limits) as http:
        task = asyncio.create_task(arrivals(http))
        try:
            yield load
        finally:
            stop.set()
            await task
