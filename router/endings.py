"""Answers of the admin port that would never end by themselves, such as a log that is followed: they end when the process stops.

Properly, so that who reads one sees its end and not a broken connection, and nothing has to be cancelled.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Endings:
    """An application whose answers end once `stopping` is set, when they have begun; requests are still read to their end."""

    def __init__(self, app: ASGIApp, stopping: asyncio.Event) -> None:
        self._app, self._stopping = app, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(receive, send, self._stopping)
        await self._app(scope, answer.receive, answer.send)
        if answer.open:
            await send({"type": "http.response.body"})


class _Answer:
    """One answer; `open` from its head to its last piece."""

    def __init__(self, receive: Receive, send: Send, stopping: asyncio.Event) -> None:
        self._receive, self._send, self._stopping = receive, send, stopping
        self.open = False

    async def send(self, message: Message) -> None:
        self.open = message["type"] == "http.response.start" or bool(message.get("more_body"))
        await self._send(message)

    async def receive(self) -> Message:
        """What comes next; while an answer goes out that is nothing but the caller's leave, and a stop counts as that."""
        coming = asyncio.ensure_future(self._receive())
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((coming, stopped), return_when=asyncio.FIRST_COMPLETED)
            if self.open and not coming.done():
                return {"type": "http.disconnect"}
            return await coming
        finally:
            coming.cancel()
            stopped.cancel()
