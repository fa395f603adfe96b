"""`python -m router`: one worker with a static table, or (later) the router of a cluster."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import socket
import sys

from router.address import parse_address
from router.dataplane import DataPlane
from router.http1.grammar import POSSESSIVE
from router.model import Backend, Endpoint, Route, RouteKey
from router.settings import Settings
from router.wire.poller import new_event_loop

log = logging.getLogger("router")


class Nobody:
    """A scaler that scales nothing: the table is static."""

    def wake(self, key: RouteKey) -> None:
        """Nothing to do."""

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """Nothing to do."""


def static_route(text: str) -> Route:
    """`name=address[,address…]` as a route. Raises ValueError."""
    name, _, addresses = text.partition("=")
    name, _, project = name.partition(".")
    endpoints = tuple(Endpoint(address) for address in addresses.split(",") if address)
    for endpoint in endpoints:
        parse_address(endpoint.address)
    return Route(RouteKey("*", project or "default", name), (Backend(f"{name}-static", endpoints),))


def bind(text: str) -> socket.socket:
    """A listening socket for "host:port" or "unix:/path". Raises OSError, ValueError."""
    family, address = parse_address(text)
    sock = socket.socket(family, socket.SOCK_STREAM)
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen(4096)
    return sock


async def serve(listen: str, routes: list[Route]) -> None:
    """Run one worker until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    plane = DataPlane(Settings(), Nobody())
    for route in routes:
        plane.put(route)
    plane.listen(bind(listen))
    gc.collect()
    gc.freeze()
    log.info("listening on %s, %d routes", listen, len(routes))
    await stop.wait()
    await plane.drain(3.0)
    plane.close()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m router")
    parser.add_argument("--listen", default="127.0.0.1:8080")
    parser.add_argument("--route", action="append", default=[], metavar="NAME=ADDRESS", type=static_route)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not POSSESSIVE:
        log.warning("this Python's re mishandles possessive quantifiers (CPython before 3.11.5): the fast path for heads is off")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(options.listen, options.route))
    return 0


if __name__ == "__main__":
    sys.exit(main())
