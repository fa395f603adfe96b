"""What somebody deletes comes back, and a steady load sees no error."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "router"))
sys.path.insert(0, str(Path(__file__).parent))

from echo import Echo, echo, names, until
from installed import Failed, Platform
from router_on_a_cluster import MARKS, Place, in_a_namespace, stamp
from steady_load import steady

pytestmark = MARKS

PROTECTED = "cloudbase.dev/unprotected=true"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_deleted_heals_and_a_steady_load_sees_no_error(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        here = await echo(platform, place.namespace)
        async with steady(platform.url("/fn/echo")) as load:
            print(f"route's Service: {await deleted(here, 'service', 'echo'):.1f} s")
            print(f"backend's Service: {await deleted(here, 'service', 'echo-00001'):.1f} s")
            pods = await here.listed("pods -l cloudbase.dev/function=echo")
            await here.kubectl("delete", "pod", names(pods)[0], "--wait=false")
            await here.rolled_out("echo-00001")
            print(f"Deployment: {await deleted(here, 'deployment', 'echo-00001'):.1f} s")
            await here.rolled_out("echo-00001")
            print(f"router, told to end: {await replaced(platform, 'router'):.1f} s")
            await here.ready()
        print(f"{dict(load.codes)}, {len(load.pods)} pods answered; {load.wrong[:3]}")
        assert set(load.codes) == {200}
        await here.kubectl("delete", "functions", "--all", "--timeout=60s")

    in_a_namespace(scenario, 290)


async def deleted(here: Echo, kind: str, name: str) -> float:
    """Delete an owned object as one who means it; seconds until there is another."""
    with pytest.raises(Failed, match="unprotected=true"):  # not by accident
        await here.kubectl("delete", kind, name)
    before = await here.uid(kind, name)
    await here.kubectl("annotate", kind, name, PROTECTED)
    began = stamp()
    await here.kubectl("delete", kind, name, "--wait=false")

    async def another() -> bool:
        return await here.uid(kind, name) not in ("", before)

    await until(another)
    return stamp() - began


async def replaced(platform: Platform, component: str) -> float:
    """Delete the pods of a part; seconds until others are ready in their place. Those that go have time to finish."""
    before = await asyncio.to_thread(platform.pods, component)
    began = stamp()
    await asyncio.to_thread(platform.kubectl, "delete", "pod", *names(before), "--wait=false")
    await asyncio.to_thread(platform.kubectl, "rollout", "status", f"deployment/{platform.release}-{component}", "--timeout=60s")
    taken = stamp() - began
    for name in names(before):
        await asyncio.to_thread(platform.kubectl, "wait", "--for=delete", f"pod/{name}", "--timeout=60s")
    return taken
