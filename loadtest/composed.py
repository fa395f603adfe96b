"""The data plane with one function whose concurrency is limited, which the router's own command line has no word for.

    python -m loadtest.composed LISTEN FUNCTION CONCURRENCY     addresses; at most so many requests in flight in the function

It is composed as `python -m router` and local mode compose it, with every other setting as by default.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from loadtest.launch import FUNCTION
from router import __main__ as router
from router.dataplane import DataPlane
from router.listening import bind
from router.model import Backend, Endpoint, Route, RouteKey
from router.model import Settings as RouteSettings
from router.settings import Settings
from router.wire.poller import new_event_loop


async def serve(listen: str, function: str, concurrency: int) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    plane = DataPlane(Settings(), router.Nobody())
    backend = Backend(f"{FUNCTION}-00001", (Endpoint(function),))
    plane.put(Route(RouteKey("*", "default", FUNCTION), (backend,), RouteSettings(concurrency=concurrency)))
    plane.listen(bind(listen))
    await stop.wait()
    plane.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
