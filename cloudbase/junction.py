"""Where controller, data plane and autoscaler meet in one process: each is handed to the others as the port they know.

The controller needs a place for routes before there is a data plane, and the data plane somebody who scales before there is a
controller; this stands for both of them until they are here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from autoscaler.loop import Loop, Target
from autoscaler.recorder import Recorder
from controller.ports import Deployer
from router.dataplane import DataPlane
from router.model import Route, RouteKey
from router.ports import Scaler

HERE = "local"  # the one router there is


class Junction:
    """Implements controller.ports.Published and router.ports.Scaler by passing calls on."""

    plane: DataPlane
    controller: Scaler

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._routes: dict[RouteKey, Route] = {}
        self.recorder: Recorder[RouteKey] = Recorder()
        self.autoscaler: Loop[RouteKey] = Loop(self.recorder, self, self.targets, clock)

    def get(self, key: RouteKey) -> Route | None:
        """As controller.ports.Published."""
        return self._routes.get(key)

    async def publish(self, route: Route) -> None:
        """As controller.ports.Published. The data plane is in this process, so nothing is waited for."""
        self._routes[route.key] = route
        self.plane.put(route)

    def path(self, key: RouteKey) -> str:
        """As controller.ports.Published."""
        return f"/fn/{key}"

    async def withdraw(self, key: RouteKey) -> None:
        """As controller.ports.Published."""
        self._routes.pop(key, None)
        self.plane.remove(key)

    def in_flight(self, key: RouteKey, revision: str, address: str) -> int:
        """As controller.ports.Published."""
        return self.plane.in_flight(key, revision, address)

    def wake(self, key: RouteKey) -> None:
        """As router.ports.Scaler. The controller is in this process, so the wake is done when the call returns."""
        self.controller.wake(key)
        self.plane.woken(key)

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """As router.ports.Scaler."""
        self.controller.scale_to(key, replicas, reason)

    def targets(self) -> Iterator[Target[RouteKey]]:
        """The routes to scale. The autoscaler asks once a second, and decides on the second that is recorded here."""
        self.recorder.record(HERE, self._clock(), self.plane.samples())
        for key, route in self._routes.items():
            if route.policy is not None:
                ready = sum(
                    not endpoint.draining for backend in route.backends if backend.weight for endpoint in backend.endpoints
                )
                yield Target(key, route.policy, ready)

    def tell_schedule(self, deployer: Deployer) -> None:
        """Tell the data plane of processes as soon as they are started, for the parts of a cold start."""

        def changed(project: str, name: str) -> None:
            if any(not replica.stopping for replica in deployer.observe(project, name)):
                self.plane.scheduled(RouteKey("*", project, name))

        deployer.watch(changed)

    def decisions(self, project: str, name: str) -> Sequence[Mapping[str, object]]:
        """Why a function has the replicas that it has, oldest first."""
        return [
            {"at": each.at, "before": each.before, "replicas": each.decision.replicas, "reason": each.decision.reason}
            for each in self.autoscaler.explain(RouteKey("*", project, name))
        ]
