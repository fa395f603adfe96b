"""`python -m router --kube`: the router in front of a cluster, in one process, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import mmap
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import fields
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from kube.access import Access, BadAccess, InCluster
from kube.client import Client
from router import admin
from router.dataplane import DataPlane
from router.interpreter import warnings
from router.kube.company import HERE
from router.kube.control import Control
from router.kube.metrics import KubeMetrics
from router.kube.names import MANAGER
from router.kube.peers.ports import Exchange
from router.kube.settings import KubeSettings, kubeconfig
from router.kube.settings import load as kube_settings_of
from router.meters import PAGE, Meters
from router.metrics import RouterMetrics
from router.model import RouteKey
from router.ports import Scaler
from router.scaling_metrics import AutoscalerMetrics
from router.settings import BadSetting, Settings
from router.settings import load as settings_of
from router.wire.poller import new_event_loop

log = logging.getLogger(__name__)

BOOKED: Final = 16_384  # routes with metrics of their own


class Relay:
    """A scaler for a data plane that is made before the one who scales."""

    to: Scaler

    def wake(self, key: RouteKey) -> None:
        """As router.ports.Scaler."""
        self.to.wake(key)

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """As router.ports.Scaler."""
        self.to.scale_to(key, replicas, reason)


async def access_to(settings: KubeSettings) -> Access:
    """By kubeconfig where one is named, by the pod's service account else. Raises BadSetting."""
    try:
        path = kubeconfig(settings, os.environ)
        if not path:
            return InCluster(os.environ)
        from kube.kubeconfig import Kubeconfig  # 55 MiB that a router in a pod never needs

        return await Kubeconfig.load(path, settings.context)
    except BadAccess as error:
        raise BadSetting(str(error)) from error


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


async def serve(settings: Settings, kube: KubeSettings, traffic: socket.socket, admin_socket: socket.socket) -> None:
    """Route until SIGTERM or SIGINT, then drain. Raises BadSetting when there is no way to an API server."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    relay = Relay()
    book = memoryview(mmap.mmap(-1, PAGE * BOOKED))  # pages that are never used cost no memory
    async with Client(await access_to(kube), agent=MANAGER) as client:
        plane = DataPlane(settings, relay, Meters(book))
        exchange = exchange_by(kube, client.access.namespace)
        control = Control(client, plane, kube, _port(traffic), exchange)
        relay.to = control.scaler

        def missing() -> str:
            return "stopping" if stop.is_set() else control.missing()

        app = admin.application(_registry(book, control), missing, control.amiss)
        async with asyncio.TaskGroup() as tasks, admin.serve(app, admin_socket):
            following = tasks.create_task(control.run(), name="cluster")
            plane.listen(traffic)
            log.info("listening on %s, admin on %s, API server %s", _name(traffic), _name(admin_socket), client.access.server)
            gc.collect()
            gc.freeze()
            await stop.wait()
            await plane.drain(settings.drain_grace, settings.drain_delay)
            following.cancel()
        plane.close()


def main(arguments: list[str], bind: Callable[[str], socket.socket]) -> int:
    """Exit status: 0 after a drain, 1 when a setting is bad, an address is taken or there is no way to an API server."""
    try:
        settings, kube = parse(arguments)
        traffic, admin_socket = bind(settings.listen), bind(kube.admin)
        for warning in warnings():
            log.warning("%s", warning)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(settings, kube, traffic, admin_socket))
    except BadSetting as error:
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
    for prefix, kind in (("", Settings), ("kube-", KubeSettings)):
        for one in fields(kind):
            flag = "--" + prefix + one.name.replace("_", "-")
            parser.add_argument(flag, help=f"{one.metadata['meaning']} (default {one.default!r})".replace("%", "%%"))
    options = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    ours = {name.removeprefix("kube_"): value for name, value in options.items() if name.startswith("kube_")}
    own = {one.name for one in fields(Settings)}
    theirs = {name: value for name, value in options.items() if name in own}
    return settings_of(theirs, os.environ, options.get("config", "")), kube_settings_of(ours, os.environ)


def _name(sock: socket.socket) -> str:
    """Where a socket really listens: port 0 takes a free one."""
    name = sock.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


def _port(sock: socket.socket) -> int:
    name = sock.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


def _registry(book: memoryview, control: Control) -> CollectorRegistry:
    registry = CollectorRegistry()
    router = RouterMetrics()
    router.join(HERE, book)
    registry.register(router)
    registry.register(KubeMetrics(control.reading))
    registry.register(AutoscalerMetrics(control.autoscaler))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
