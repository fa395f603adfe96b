"""`python -m router`: a static table, in one process or in several, which is what a benchmark and a first look need."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from router.address import parse_address
from router.dataplane import DataPlane
from router.interpreter import announce
from router.listening import allow_connections, bind, bind_all, name_of
from router.model import Backend, Endpoint, Route, RouteKey
from router.options import BadSetting, add_flags, given
from router.settings import Settings, load
from router.wire.poller import new_event_loop
from router.workers.errors import WorkerFailed

if TYPE_CHECKING:
    from router.workers.plane import WorkersPlane

log = logging.getLogger("router")


class Nobody:
    """A scaler that scales nothing: the table is static."""

    def wake(self, key: RouteKey) -> None:
        """Nothing to do."""

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """Nothing to do."""


def static_route(text: str) -> Route:
    """`name[.project]=address[,address...]` as a route. Raises BadSetting."""
    name, equals, addresses = text.partition("=")
    if not name or not equals:
        raise BadSetting(f'a route is written "name=host:port[,host:port...]", was {text!r}')
    name, _, project = name.partition(".")
    endpoints = tuple(Endpoint(address.strip()) for address in addresses.split(",") if address.strip())
    for endpoint in endpoints:
        try:
            parse_address(endpoint.address)
        except ValueError as error:
            raise BadSetting(f"route {name}: {error}") from error
    return Route(RouteKey("*", project or "default", name), (Backend(f"{name}-static", endpoints),))


def read_routes(path: str) -> list[Route]:
    """A TOML file of `name = "address[,address...]"` lines. Raises BadSetting."""
    try:
        found = tomllib.loads(Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadSetting(f"the routes file {path} cannot be read: {error}") from error
    return [static_route(f"{name}={addresses}") for name, addresses in found.items()]


async def serve(settings: Settings, routes: list[Route], listeners: list[socket.socket]) -> None:
    """Route until SIGTERM or SIGINT, then drain. Raises OSError, and WorkerFailed when a worker cannot begin."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    plane = await (employ if settings.workers else work)(settings, routes, listeners)
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at it again
    log.info("listening on %s, %d routes", name_of(listeners[0]), len(routes))
    await stop.wait()
    await plane.drain(settings.drain_grace, settings.drain_delay)
    plane.close()


async def work(settings: Settings, routes: list[Route], listeners: list[socket.socket]) -> DataPlane:
    """A data plane in this process."""
    plane = DataPlane(settings, Nobody())
    for route in routes:
        plane.put(route)
    plane.listen(listeners[0])
    return plane


async def employ(settings: Settings, routes: list[Route], listeners: list[socket.socket]) -> WorkersPlane:
    """Workers that have the table and accept clients."""
    from router.workers.crew import step_back
    from router.workers.plane import WorkersPlane  # only then: the messages to workers take 6 MiB

    plane = WorkersPlane(settings, Nobody())
    for route in routes:
        plane.put(route)
    plane.listen(*listeners)
    await plane.up()
    step_back()
    return plane


def parse(arguments: list[str]) -> tuple[Settings, list[Route]]:
    """The command line. Raises BadSetting."""
    parser = argparse.ArgumentParser(prog="python -m router", description=__doc__)
    parser.add_argument(
        "--route", action="append", default=[], metavar="NAME=ADDRESS[,ADDRESS]", help="a function and its replicas"
    )
    parser.add_argument("--routes", default="", metavar="FILE", help='TOML lines `name = "address,address"`')
    parser.add_argument("--config", default="", metavar="FILE", help="settings as TOML")
    parser.add_argument("--kube", action="store_true", help="routes from a Kubernetes cluster: `--kube --help` tells more")
    add_flags(parser, Settings)
    options = vars(parser.parse_args(arguments))
    settings = load(given(options, Settings), os.environ, options["config"])
    routes = [static_route(text) for text in options["route"]]
    return settings, routes + (read_routes(options["routes"]) if options["routes"] else [])


def main() -> int:
    """Exit status: 0 after a drain, 1 when a setting is bad or the address is taken."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    allow_connections()
    if "--kube" in sys.argv[1:]:
        from router.kube.run import main as in_front_of_a_cluster  # only then: it brings the admin port and metrics

        return in_front_of_a_cluster([each for each in sys.argv[1:] if each != "--kube"])
    try:
        settings, routes = parse(sys.argv[1:])
        listeners = bind_all(settings.listen, settings.workers) if settings.workers else [bind(settings.listen)]
    except BadSetting as error:
        log.error("%s", error)
        return 1
    except OSError as error:
        log.error("cannot listen: %s; choose another address with --listen", error)
        return 1
    announce(log)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(settings, routes, listeners))
    except (OSError, WorkerFailed) as error:
        log.error("cannot start: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
