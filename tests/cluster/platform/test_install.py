"""`helm install` and an ordinary Deployment behind the router's Service, which sleeps and wakes."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.platform.installed import Platform, cloudbase, kubectl
from tests.cluster.shared.router_on_a_cluster import MARKS, Place, burst, in_a_namespace, reached, stamp

pytestmark = MARKS


@pytest.mark.slow
def test_an_adopted_deployment_answers_through_the_installed_router_sleeps_and_wakes(platform: Platform) -> None:
    async def scenario(place: Place) -> None:
        await place.application("hello")
        await place.replicas("hello", 1)
        print(cloudbase("adopt", "hello", "--namespace", place.namespace, "--to-zero", "--drain", "5s"))
        kubectl("-n", place.namespace, "annotate", "service", "hello", "cloudbase.dev/scale-idle-grace=2")
        traffic = platform.address()
        await reached(traffic, "/fn/hello/x")
        assert Counter(await burst(traffic, "/fn/hello/x", 20)) == {200: 20}
        await place.asleep("hello")
        began = stamp()
        assert Counter(await burst(traffic, "/fn/hello/x", 20)) == {200: 20}
        print(f"20 requests over a cold start: {stamp() - began:.2f} s")

    in_a_namespace(scenario)


def test_the_platform_s_pods_run_where_pod_security_is_restricted(platform: Platform) -> None:
    answer = kubectl(
        "label", "--dry-run=server", "--overwrite", "namespace", platform.namespace,
        "pod-security.kubernetes.io/enforce=restricted",
    )  # fmt: skip
    assert "Warning" not in answer
    assert platform.pods("router")


def test_the_router_s_pod_has_started_once_and_says_that_it_is_ready(platform: Platform) -> None:
    (pod,) = platform.pods("router")
    (status,) = pod["status"]["containerStatuses"]
    assert status["ready"] and status["restartCount"] == 0
