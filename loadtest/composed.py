"""The data plane with one function whose concurrency is limited, which the router's own command line has no word for.

    python -m loadtest.composed LISTEN FUNCTION CONCURRENCY [WORKERS]

LISTEN and FUNCTION are addresses; at most CONCURRENCY requests are in flight in the function; WORKERS as in `python -m router`.
It is composed as `python -m router` and local mode compose it, with every other setting as by default.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from loadtest.launch import FUNCTION
from router import __main__ as router
from router.listening import bind_all
from router.model import Backend, Endpoint, Route, RouteKey
from router.model import Settings as RouteSettings
from router.settings import Settings
from router.wire.poller import new_event_loop


async def serve(settings: Settings, function: str, concurrency: int) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    backend = Backend(f"{FUNCTION}-00001", (Endpoint(function),))
    route = Route(RouteKey("*", "default", FUNCTION), (backend,), RouteSettings(concurrency=concurrency))
    begin = router.employ if settings.workers else router.work
    plane = await begin(settings, [route], bind_all(settings.listen, max(1, settings.workers)))
    await stop.wait()
    plane.close()


def main(listen: str, function: str, concurrency: str, workers: str = "0") -> None:
    """The command line."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(Settings(listen=listen, workers=int(workers)), function, int(concurrency)))


if __name__ == "__main__":
    main(*sys.argv[1:])
