"""500 functions of an existing image, `initial: 0`: time until all are Ready, requests for each, memory, and a restart."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

from kube.watch import Scope
from tests.cluster.shared.audit import entries, now
from tests.cluster.shared.operator_on_a_cluster import ACCOUNT, FUNCTIONS, MARKS, Controller, Operated, operated

pytestmark = MARKS
COUNT = int(os.environ.get("MANY", "500"))
AT_ONCE = 20


def test_500_functions_are_ready_and_a_restart_of_the_controller_writes_nothing(tmp_path: Path) -> None:
    async def scenario(o: Operated) -> None:
        first = await o.controller()
        mark = now()
        began = time.monotonic()
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with gate:
                await o.apply(f"many-{number:03d}", scaling={"initial": 0})

        await asyncio.gather(*(one(number) for number in range(COUNT)))
        applied = time.monotonic() - began
        async with asyncio.timeout(500):
            while await first.metric("cloudbase_controller_functions_ready") < COUNT:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.25)
        ready = time.monotonic() - began
        calls = requests(o, mark)
        print(f"{COUNT} functions applied in {applied:.1f} s, all Ready after {ready:.1f} s")
        print(f"{sum(calls.values()) / COUNT:.1f} requests of the controller for each: {dict(calls.most_common())}")
        print(f"memory of the controller: {await memory(first):.0f} MiB")
        for each in (await o.client.list(FUNCTIONS, Scope(o.namespace)))[:3]:
            conditions = {one["type"]: (one["status"], one["reason"]) for one in each["status"]["conditions"]}
            assert conditions["Routed"] == ("True", "Unproven")

        await idle(first)
        assert await first.stop() == 0
        mark = now()
        second = await o.controller()
        await idle(second)
        writes = {verb: count for verb, count in requests(o, mark).items() if not verb.startswith(("list", "watch", "get"))}
        print(f"a restart: {await second.metric('cloudbase_controller_reconcile_total'):.0f} looks, writes {writes}")
        print(f"memory after a restart: {await memory(second):.0f} MiB")
        assert {verb for verb in writes if "leases" not in verb} == set()

    operated(scenario, tmp_path)


async def idle(controller: Controller) -> None:
    """Until every function was looked at, and nothing waits for two seconds."""
    quiet = 0
    async with asyncio.timeout(300):
        while quiet < 4:
            await asyncio.sleep(0.5)
            looked = await controller.metric("cloudbase_controller_reconcile_total") >= COUNT
            quiet = quiet + 1 if looked and not await controller.metric("cloudbase_controller_workqueue_depth") else 0


async def memory(controller: Controller) -> float:
    """Resident, in MiB."""
    return await controller.metric("process_resident_memory_bytes") / (1 << 20)


def requests(o: Operated, since: str) -> Counter[str]:
    """The controllers' requests since then, by verb and resource."""
    user, found = f"system:serviceaccount:{o.namespace}:{ACCOUNT}", Counter[str]()
    for event in entries(os.environ["CLUSTER_AUDIT_LOG"], user, since):
        if event.get("user", {}).get("username") == user and event.get("stage") == "ResponseComplete":
            what = event.get("objectRef") or {}
            part = f"/{what['subresource']}" if what.get("subresource") else ""
            found[f"{event['verb']} {what.get('resource')}{part}"] += 1
    return found
