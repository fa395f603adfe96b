"""`python -m controller --kube`: the operator, in one process, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.routing import BaseRoute

from controller.kube.admission.mount import Addresses, admitting
from controller.kube.build.parts import building
from controller.kube.build.settings import BuildSettings
from controller.kube.control import Builds, Control, LostLease
from controller.kube.names import MANAGER
from controller.kube.no_builds import NoBuilds
from controller.kube.settings import Settings, load, load_builds
from controller.metrics import ControllerMetrics
from kube.access import BadAccess
from kube.client import Client
from kube.config import access_to
from router import admin
from router.listening import bind, name_of
from router.options import BadSetting, add_flags, given

log = logging.getLogger(__name__)

Holder = Callable[[str, str], str]
Mounted = Callable[[Client, Control, Holder], Sequence[BaseRoute]]  # the last: who has a function's address


def nothing(client: Client, control: Control, holder: Holder) -> Sequence[BaseRoute]:
    """No more on the admin port than what every process has there."""
    return ()


async def serve(
    settings: Settings,
    builds: BuildSettings | None,
    admin_socket: socket.socket,
    webhooks_socket: socket.socket | None = None,
    mounted: Mounted = nothing,
) -> None:
    """Work until SIGTERM or SIGINT. Raises BadAccess when there is no way to an API server, LostLease."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    access = await access_to(settings.kube_config, settings.kube_context, os.environ)
    async with Client(access, agent=MANAGER) as client, AsyncExitStack() as parts:
        making = await parts.enter_async_context(builds_of(client, builds))
        control = Control(client, settings, making)
        addresses = Addresses(client, control, settings)
        unready = await parts.enter_async_context(admitting(client, control, settings, addresses, webhooks_socket))

        def missing() -> str:
            return "stopping" if stop.is_set() else control.missing() or unready()

        served = [*making.routes, *mounted(client, control, addresses.holder)]
        registry = admin.registry_of(ControllerMetrics(control.reconciler.meters, control.reading, client.answers))
        app = admin.application(registry, missing, control.amiss, served)
        async with admin.serve(app, admin_socket):
            log.info("admin on %s, API server %s", name_of(admin_socket), client.access.server)
            gc.collect()
            gc.freeze()
            await work(stop, control.run(), making.detach, settings.drain_delay)
    log.info("stopped")


@asynccontextmanager
async def builds_of(client: Client, settings: BuildSettings | None) -> AsyncIterator[Builds]:
    """The builder and the store of sources."""
    if settings is None:
        none = NoBuilds()
        yield Builds(none, none)
        return
    async with building(client, settings) as parts:
        yield Builds(parts.builder, parts.sources, parts.builder.detach, parts.handover.routes, parts.builder.key)


async def work(stop: asyncio.Event, control: Coroutine[Any, Any, None], detach: Callable[[], None], delay: float) -> None:
    """Run `control` until `delay` seconds after `stop`; the lease is given back at the end, and builds go on. Raises LostLease.

    Kubernetes tells nodes that a pod ends while it tells the pod: for a moment they still send the API server's questions here,
    and who could not ask refuses every Function.
    """
    running = asyncio.create_task(control, name="control")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        await asyncio.wait({running}, timeout=delay)
    stopping.cancel()
    detach()
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        pass  # as asked for
    except ExceptionGroup as errors:
        if errors.split(LostLease)[1] is None:
            raise LostLease("the lease went to another controller, or could not be renewed") from None
        raise


def main(arguments: list[str], mounted: Mounted = nothing) -> int:
    """Exit status: 0 when asked to stop, 1 when a setting is bad, an address is taken, or the lease was lost.

    `mounted`: what else is served on the admin port.
    """
    try:
        settings, builds = parse(arguments)
        admin_socket, webhooks_socket = bind(settings.admin), bind(settings.webhooks) if settings.webhooks else None
        asyncio.run(serve(settings, builds, admin_socket, webhooks_socket, mounted))
    except (BadSetting, BadAccess, LostLease) as error:
        log.error("%s", error)
        return 1
    except OSError as error:
        log.error("cannot listen: %s; choose another address with --admin or --webhooks", error)
        return 1
    return 0


def parse(arguments: list[str]) -> tuple[Settings, BuildSettings | None]:
    """The command line without `--kube`. Raises BadSetting."""
    parser = argparse.ArgumentParser(prog="python -m controller --kube", description=__doc__)
    add_flags(parser, Settings)
    add_flags(parser, BuildSettings, "build")
    options = vars(parser.parse_args(arguments))
    builds = load_builds(given(options, BuildSettings, "build"), os.environ)
    return load(given(options, Settings), os.environ), builds
