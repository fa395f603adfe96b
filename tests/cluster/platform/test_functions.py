"""From `kubectl apply` of a Function to an answer at /fn/<name> through the installed router, to zero and back."""

from __future__ import annotations

import httpx2
import pytest

from tests.cluster.platform.installed import Platform, apply, function, kubectl
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, in_a_namespace, reached, stamp

pytestmark = MARKS


@pytest.mark.slow
def test_an_existing_image_becomes_a_function_that_sleeps_and_wakes(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        image = platform.echo()
        began = stamp()
        spec = function("echo", image=image, scaling={"idleGrace": 1}, timeout=30, drainTimeout=30)
        apply(place.namespace, spec)
        kubectl("-n", place.namespace, "wait", "--for=condition=Ready", "function/echo", "--timeout=300s")
        print(f"ready {stamp() - began:.1f} s after kubectl apply")
        check_columns(kubectl("-n", place.namespace, "get", "functions"))
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            assert (await reached(platform.address(), "/fn/echo/x")).status_code == 200
            await place.asleep("echo-00001")
            answer = await http.get(platform.url("/fn/echo/x"))
            assert answer.status_code == 200
            print(f"cold start: {answer.headers['server-timing']}")
            kubectl("-n", place.namespace, "scale", "function", "echo", "--replicas=2")
            pinned = ("wait", "--for=jsonpath={.status.replicas}=2", "function/echo", "--timeout=300s")
            kubectl("-n", place.namespace, *pinned)
            row = kubectl("-n", place.namespace, "get", "fn", "echo").splitlines()[1].split()
            assert row[4] == "2", row
            freed = '[{"op": "remove", "path": "/spec/replicas"}]'  # gives control back to the autoscaler
            kubectl("-n", place.namespace, "patch", "function", "echo", "--type=json", "-p", freed)
            await place.asleep("echo-00001")
            assert (await http.get(platform.url("/fn/echo/x"))).status_code == 200

    in_a_namespace(scenario)


def check_columns(printed: str) -> None:
    """What `kubectl get functions` shows of a function that is ready."""
    print(printed)
    head, row = printed.splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "URL", "REPLICAS", "REVISION", "AGE"]
    name, ready, reason, where, replicas, revision, _ = row.split()
    assert (name, ready, reason, revision) == ("echo", "True", "Ready", "echo-00001")
    assert where.endswith("/fn/echo") and replicas in ("0", "1"), printed  # it may be asleep already
