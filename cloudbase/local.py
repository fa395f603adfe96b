"""The whole platform in one process: router, autoscaler and controller on one event loop, functions as child processes."""

from __future__ import annotations

import asyncio
import gc
import logging
import mmap
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from starlette.routing import Mount

from cloudbase import claim
from cloudbase.errors import Failed
from cloudbase.folder import DATABASE
from cloudbase.inside import deploy_on_save, deploy_sample, expect_watchable
from cloudbase.junction import HERE, Junction
from cloudbase.listening import bound
from cloudbase.opening import Opened, open_all
from cloudbase.place import Place
from cloudbase.settings import Settings, environment
from cloudbase.settings import router as settings_of_router
from controller.api import Token, create_app
from controller.errors import StoreFailed
from controller.local import orphans, refusals
from controller.local.builder import LocalBuilder
from controller.local.deployer import LocalDeployer
from controller.local.sources import LocalSourceStore
from controller.local.store import LocalFunctionStore
from controller.metrics import ControllerMetrics, reading
from controller.plan import Rules
from controller.reconcile import Reconciler
from router import admin
from router.dataplane import DataPlane
from router.interpreter import announce
from router.meters import PAGE, Meters
from router.metrics import RouterMetrics
from router.scaling_metrics import AutoscalerMetrics
from router.settings import Settings as RouterSettings
from router.wire.poller import new_event_loop

log = logging.getLogger(__name__)

BOOKED = 16_384  # functions with metrics of their own
HURRY = 0.25  # seconds after which a stopping platform closes idle connections, and looks again
FORCED = 130  # exit status after a second Ctrl-C, the shell's for SIGINT


@dataclass(frozen=True, slots=True)
class Rooms:
    """The parts of a platform."""

    store: LocalFunctionStore
    sources: LocalSourceStore
    deployer: LocalDeployer
    reconciler: Reconciler
    plane: DataPlane
    junction: Junction
    metrics: CollectorRegistry


def run(settings: Settings, sample: bool, watch: Sequence[Path]) -> int:
    """Run until a signal; the exit status. Raises CommandError when it cannot start."""
    limits = settings_of_router()
    expect_watchable(watch)
    opened = open_all(settings)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(_live(settings, limits, opened, sample, watch))
    except StoreFailed as error:
        raise Failed(str(error), "choose another data folder with --data DIR") from error
    finally:
        opened.close()


async def _live(settings: Settings, limits: RouterSettings, opened: Opened, sample: bool, watch: Sequence[Path]) -> int:
    """From the first look at what is stored to the end of the last child."""
    stop = _stop_signals(settings.data)
    place = Place(bound(opened.admin), bound(opened.traffic), claim.token(settings.data), settings.data)
    async with _rooms(settings, limits, place) as rooms, asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(rooms.reconciler.run(), name="controller")]
        app = create_app(
            rooms.store,
            rooms.sources,
            rooms.reconciler,
            rooms.deployer,
            Token(place.token),
            decisions=rooms.junction.decisions,
            check=refusals.check,
        )
        whole = admin.application(rooms.metrics, lambda: _missing(stop, rooms.reconciler), others=[Mount("/", app)])
        async with admin.serve(whole, opened.admin):
            await rooms.reconciler.synced.wait()  # what is stored is known before the first request is looked at
            rooms.plane.listen(opened.traffic)
            work.append(tasks.create_task(rooms.junction.autoscaler.run(), name="autoscaler"))
            opened.claim.announce(place.listen, place.admin)
            _greet(place, settings, len(rooms.store.list()))
            deployments = [tasks.create_task(deploy_on_save(place, folder), name=f"watch {folder}") for folder in watch]
            if sample:
                deployments.append(tasks.create_task(deploy_sample(place), name="sample"))
            gc.collect()
            gc.freeze()  # what has been made until now stays: no collection looks at it again
            await stop.wait()
            for task in deployments:
                task.cancel()  # first, since nothing of them comes to an end now, and that is nobody's mistake
            await _drain(rooms.plane, settings.stop_grace)
        for task in work:
            task.cancel()
    log.info("stopped")
    return 0


@asynccontextmanager
async def _rooms(settings: Settings, limits: RouterSettings, place: Place) -> AsyncIterator[Rooms]:
    """Every part, put together; at the end all children are stopped."""
    with ExitStack() as stack:
        env = environment()
        store = LocalFunctionStore(settings.data / DATABASE)
        stack.callback(store.close)
        sources = LocalSourceStore(settings.data / "sources")
        builder = LocalBuilder(settings.data, env=env)
        deployer = LocalDeployer(settings.data, env=env, grace=settings.stop_grace)
        junction = Junction()
        book = memoryview(mmap.mmap(-1, PAGE * BOOKED))  # pages that are never used cost no memory
        plane = junction.plane = DataPlane(limits, junction, Meters(book))
        stack.callback(plane.close)
        rules = Rules(url=f"{'https' if limits.tls_certificate else 'http'}://{place.listen}")
        reconciler = junction.controller = Reconciler(store, builder, deployer, junction, sources, rules=rules)
        junction.tell_schedule(deployer)
        await deployer.start()
        try:
            router = RouterMetrics()
            router.join(HERE, book)
            controller = ControllerMetrics(reconciler.meters, lambda: reading(store, reconciler))
            metrics = admin.registry_of(router, AutoscalerMetrics(junction.autoscaler), controller)
            yield Rooms(store, sources, deployer, reconciler, plane, junction, metrics)
        finally:
            plane.close()
            await deployer.close()


def _missing(stop: asyncio.Event, reconciler: Reconciler) -> str:
    """What keeps the platform from being ready; "" when nothing does."""
    if stop.is_set():
        return "stopping"
    return "" if reconciler.synced.is_set() else "starting: looking at what is stored"


async def _drain(plane: DataPlane, grace: float) -> None:
    """Let what is in flight finish. Nobody else sends requests here now, so idle connections need not be kept for them."""
    log.info("stopping: what is in flight has %g s to finish; Ctrl-C again ends everything at once", grace)
    draining = asyncio.create_task(plane.drain(grace), name="drain")
    while not (await asyncio.wait({draining}, timeout=HURRY))[0]:
        plane.clients.close_idle()
    await draining


def _stop_signals(data: Path) -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the second one kills all children and ends the process there and then."""
    stop = asyncio.Event()

    def stopped() -> None:
        if stop.is_set():
            orphans.sweep(data)
            os._exit(FORCED)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped)
    return stop


def _greet(place: Place, settings: Settings, functions: int) -> None:
    announce(log)
    log.info("functions answer at http://%s/fn/<name>", place.listen)
    log.info("management API at http://%s/api/v1, its token in %s", place.admin, settings.data / "token")
    if functions:
        log.info("found %d function%s again: `cloudbase list` shows them", functions, "" if functions == 1 else "s")
