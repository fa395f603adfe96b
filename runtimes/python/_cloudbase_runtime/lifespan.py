"""ASGI's lifespan: the application's own start and end."""

from __future__ import annotations

import asyncio
from typing import Any

from _cloudbase_runtime.asgi import Application, Message
from _cloudbase_runtime.logs import Log
from _cloudbase_runtime.process import Failure

SHUTDOWN = 5.0  # seconds that an application may take to end


class Lifespan:
    """Runs the application's lifespan beside its requests. One that does not speak it is left alone."""

    def __init__(self, application: Application, state: dict[str, Any], log: Log) -> None:
        self._application = application
        self._state = state
        self._log = log
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Returns when the application is ready. Raises Failure (LoadFailed) when it says that it failed."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._ask("lifespan.startup")
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            raise Failure("LoadFailed", f"the application's start-up failed: {answer.get('message', '')}")

    async def shutdown(self) -> None:
        """Tells the application that it ends, and waits for it, but not for ever."""
        if self._task is None or self._task.done():
            return
        try:
            await asyncio.wait_for(self._ask("lifespan.shutdown"), SHUTDOWN)
        except asyncio.TimeoutError:
            self._log.say("warning", f"the application's shutdown took more than {SHUTDOWN:g} s")

    async def _ask(self, kind: str) -> Message | None:
        """The application's answer; None when it ended without one."""
        assert self._task is not None
        self._events.put_nowait({"type": kind})
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        return None

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._application(scope, self._events.get, self._answers.put)
        except Exception:
            # An application without lifespan throws at this scope: ASGI says to go on without it.
            return
