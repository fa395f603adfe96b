"""Runs one function: settings, load, listen, say so. The contract is docs/runtime-contract.md."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from _cloudbase_runtime import settings as environment
from _cloudbase_runtime.entry import Entry, find
from _cloudbase_runtime.load import Loaded, load, prepare_path
from _cloudbase_runtime.logs import Log
from _cloudbase_runtime.process import Failure, ReadyLine, fail, leave, watch_parent
from _cloudbase_runtime.server import Server
from _cloudbase_runtime.settings import Settings


def main() -> None:
    """Never returns: the process ends with a code of the contract."""
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))  # nothing is in flight yet; process 1 would ignore it
    ready = ReadyLine()
    try:
        ready = ReadyLine(environment.ready_fd(os.environ))
        settings = environment.read(os.environ)
        watch_parent(settings.parent_fd)
        log = Log(settings.name, settings.json)
        log.start()
        folder = Path.cwd()
        entry = find(folder, settings.entry)
        prepare_path(folder, entry)
        if entry.name:
            asyncio.run(_serve(entry, settings, folder, log, ready))
        else:
            _program(entry, settings, folder, ready)
    except Failure as failure:
        fail(failure, ready)
    leave(0)


async def _serve(entry: Entry, settings: Settings, folder: Path, log: Log, ready: ReadyLine) -> None:
    # Loaded inside the loop: applications may look for it while they are imported.
    loaded: Loaded = load(entry, settings, folder)
    server = Server(loaded.application, settings, log, upgrades=loaded.is_asgi)
    lifespan = None
    if loaded.is_asgi:
        from _cloudbase_runtime.lifespan import Lifespan

        lifespan = Lifespan(loaded.application, server.state, log)
        await lifespan.startup()
    listening = await server.listen()
    ready.write(listening=settings.address)
    await server.serve(listening)
    if lifespan is not None:
        await lifespan.shutdown()
    leave(0)


def _program(entry: Entry, settings: Settings, folder: Path, ready: ReadyLine) -> None:
    from _cloudbase_runtime import program

    sys.argv = [str(entry.file)]
    program.run(entry, settings, folder, ready)
