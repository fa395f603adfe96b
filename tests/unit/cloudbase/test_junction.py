"""Controller, data plane and autoscaler, put together without any of their sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from autoscaler.model import Policy, Sample
from cloudbase.junction import Junction
from controller.ports import Replica
from router.model import Backend, Endpoint, Route, RouteKey

KEY = RouteKey("*", "default", "hello")
POLICY = Policy(idle_grace=2.0)


class Plane:
    """What the junction uses of a data plane."""

    def __init__(self) -> None:
        self.routes: dict[RouteKey, Route] = {}
        self.told: list[tuple[str, RouteKey]] = []
        self.load: dict[RouteKey, Sample] = {}

    def put(self, route: Route) -> None:
        self.routes[route.key] = route

    def remove(self, key: RouteKey) -> None:
        del self.routes[key]

    def samples(self) -> dict[RouteKey, Sample]:
        return self.load

    def woken(self, key: RouteKey) -> None:
        self.told.append(("woken", key))

    def scheduled(self, key: RouteKey) -> None:
        self.told.append(("scheduled", key))


class Controller:
    """Takes what it is asked for down."""

    def __init__(self) -> None:
        self.asked: list[tuple[RouteKey, int]] = []

    def wake(self, key: RouteKey) -> None:
        self.asked.append((key, 1))

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        self.asked.append((key, replicas))


class Processes:
    """A deployer of which only the replicas matter."""

    def __init__(self) -> None:
        self.replicas: list[Replica] = []
        self.changed: Callable[[str, str], None]

    def observe(self, project: str, name: str) -> list[Replica]:
        return self.replicas

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self.changed = changed


def joined(now: list[float]) -> tuple[Junction, Any, Controller]:
    junction: Any = Junction(lambda: now[0])
    junction.plane, junction.controller = Plane(), Controller()
    return junction, junction.plane, junction.controller


def route(*endpoints: Endpoint, policy: Policy | None = POLICY) -> Route:
    return Route(KEY, (Backend("hello-00002", endpoints), Backend("hello-00001", (Endpoint("old", True),), 0)), policy=policy)


def test_a_wake_goes_to_the_controller_and_is_done_at_once() -> None:
    junction, plane, controller = joined([0.0])
    junction.wake(KEY)
    assert (controller.asked, plane.told) == ([(KEY, 1)], [("woken", KEY)])


def test_only_endpoints_that_take_requests_count_as_ready() -> None:
    junction, plane, _ = joined([10.0])
    asyncio.run(junction.publish(route(Endpoint("a"), Endpoint("b", draining=True))))
    assert [target.ready for target in junction.targets()] == [1]
    assert plane.routes[KEY].backends[0].revision == "hello-00002"


def test_a_route_without_a_policy_or_removed_is_nobodys_to_scale() -> None:
    junction, plane, _ = joined([10.0])
    asyncio.run(junction.publish(route(policy=None)))
    assert list(junction.targets()) == []
    asyncio.run(junction.withdraw(KEY))
    assert plane.routes == {}


def test_from_the_planes_samples_to_the_controllers_replicas() -> None:
    now = [100.0]
    junction, plane, controller = joined(now)
    asyncio.run(junction.publish(route(Endpoint("a"))))
    for second in range(14):
        now[0] += 1.0
        plane.load = {KEY: Sample(now[0], 1.0, 1, 1)} if second < 8 else {}
        junction.autoscaler.tick()
    assert controller.asked == [(KEY, 0)]
    [decision] = junction.decisions("default", "hello")
    assert (decision["before"], decision["replicas"]) == (1, 0)
    assert "the grace is 2 s" in str(decision["reason"])


def test_the_plane_hears_of_a_process_as_soon_as_it_starts_and_not_of_one_that_ends() -> None:
    junction, plane, _ = joined([0.0])
    processes: Any = Processes()
    junction.tell_schedule(processes)
    processes.replicas = [Replica("r", "hello-00001", stopping=True)]
    processes.changed("default", "hello")
    assert plane.told == []
    processes.replicas.append(Replica("s", "hello-00001"))
    processes.changed("default", "hello")
    assert plane.told == [("scheduled", KEY)]
