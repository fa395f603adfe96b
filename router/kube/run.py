"""`python -m router --kube`: the router in front of a cluster, in one process or in several, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Sequence

from starlette.applications import Starlette

from kube.access import BadAccess
from kube.client import Client
from kube.config import access_to
from router import admin
from router.dataplane import DataPlane
from router.interpreter import announce
from router.kube.control import Control
from router.kube.fleet import HERE
from router.kube.metrics import KubeMetrics
from router.kube.names import MANAGER
from router.kube.peers.ports import Exchange
from router.kube.settings import KubeSettings
from router.kube.settings import load as kube_settings_of
from router.listening import bind, bind_all, name_of
from router.meters import Meters
from router.metrics import RouterMetrics
from router.model import RouteKey
from router.options import BadSetting, add_flags, given
from router.ports import Scaler
from router.scaling_metrics import AutoscalerMetrics
from router.settings import Settings
from router.settings import load as settings_of
from router.wire.poller import new_event_loop
from router.workers import book
from router.workers.crew import step_back
from router.workers.errors import WorkerFailed
from router.workers.plane import WorkersPlane

log = logging.getLogger(__name__)


class Relay:
    """A scaler for a data plane that is made before the one who scales."""

    to: Scaler

    def wake(self, key: RouteKey) -> None:
        """As router.ports.Scaler."""
        self.to.wake(key)

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """As router.ports.Scaler."""
        self.to.scale_to(key, replicas, reason)


def exchange_by(settings: KubeSettings, namespace: str) -> Exchange | None:
    """Routers that compete for one lease exchange what they know. Raises BadSetting."""
    if not settings.redis:
        return None
    try:
        from router.kube.peers.redis import RedisExchange  # 12 MiB that one router alone never needs

        return RedisExchange(settings.redis, f"{settings.lease_namespace or namespace}/{settings.lease}")
    except ImportError as error:
        advice = "pip install 'cloudbase-serverless[redis]'"
        raise BadSetting(f"ROUTER_KUBE_REDIS needs the extra `redis` ({error}): {advice}") from error
    except ValueError as error:
        raise BadSetting(f"ROUTER_KUBE_REDIS: {error}") from error


async def serve(settings: Settings, kube: KubeSettings, traffic: Sequence[socket.socket], admin_socket: socket.socket) -> None:
    """Route until SIGTERM or SIGINT, then drain. Raises BadAccess when there is no way to an API server, WorkerFailed."""
    stop, relay, books = _stop_signals(), Relay(), RouterMetrics()
    async with Client(await access_to(kube.config, kube.context, os.environ), agent=MANAGER) as client:
        plane = (_workers if settings.workers else _one_process)(settings, relay, books)
        exchange = exchange_by(kube, client.access.namespace)
        control = Control(client, plane, kube, _port(traffic[0]), exchange)
        relay.to = control.scaler
        app = _admin_port(control, books, stop)
        try:
            plane.listen(*traffic)
            await plane.up()
            if settings.workers:
                step_back()
            async with asyncio.TaskGroup() as tasks, admin.serve(app, admin_socket):
                following = tasks.create_task(control.run(), name="cluster")
                where = name_of(traffic[0]), name_of(admin_socket), client.access.server
                log.info("listening on %s, admin on %s, API server %s", *where)
                gc.collect()
                gc.freeze()
                await stop.wait()
                await plane.drain(settings.drain_grace, settings.drain_delay)
                following.cancel()
        finally:
            plane.close()


def _stop_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _admin_port(control: Control, books: RouterMetrics, stop: asyncio.Event) -> Starlette:
    """What it answers: ready while the cluster is known and nobody asked for the end."""

    def missing() -> str:
        return "stopping" if stop.is_set() else control.missing()

    registry = admin.registry_of(KubeMetrics(control.reading), AutoscalerMetrics(control.autoscaler))
    return admin.application(registry, missing, control.amiss, more=books.exposition)


def _one_process(settings: Settings, scaler: Scaler, books: RouterMetrics) -> DataPlane:
    pages = book.open_book(book.make())
    plane = DataPlane(settings, scaler, Meters(pages))
    books.join(HERE, pages)
    return plane


def _workers(settings: Settings, scaler: Scaler, books: RouterMetrics) -> WorkersPlane:
    return WorkersPlane(
        settings,
        scaler,
        lambda worker: books.join(worker.name, worker.book),
        lambda worker: books.leave(worker.name),
        books.forget,
    )


def main(arguments: list[str]) -> int:
    """Exit status: 0 after a drain, 1 when a setting is bad, an address is taken or there is no way to an API server."""
    try:
        settings, kube = parse(arguments)
        traffic = bind_all(settings.listen, settings.workers) if settings.workers else [bind(settings.listen)]
        admin_socket = bind(kube.admin)
        announce(log)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(settings, kube, traffic, admin_socket))
    except (BadSetting, BadAccess, WorkerFailed) as error:
        log.error("%s", error)
        return 1
    except OSError as error:
        log.error("cannot listen: %s; choose another address with --listen or --kube-admin", error)
        return 1
    return 0


def parse(arguments: list[str]) -> tuple[Settings, KubeSettings]:
    """The command line without `--kube`. Raises BadSetting."""
    parser = argparse.ArgumentParser(prog="python -m router --kube", description=__doc__)
    parser.add_argument("--config", default="", metavar="FILE", help="settings as TOML")
    add_flags(parser, Settings)
    add_flags(parser, KubeSettings, "kube")
    options = vars(parser.parse_args(arguments))
    plane = settings_of(given(options, Settings), os.environ, options["config"])
    return plane, kube_settings_of(given(options, KubeSettings, "kube"), os.environ)


def _port(sock: socket.socket) -> int:
    name = sock.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0
