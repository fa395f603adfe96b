"""The admin port of a process that stops: answers that never end by themselves come to a proper end at once."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from router import admin
from router.endings import Endings


async def forever() -> AsyncIterator[bytes]:
    yield b"first\n"
    await asyncio.Event().wait()


async def follow(request: Request) -> Response:
    return StreamingResponse(forever())


def test_who_follows_sees_the_end_of_the_answer_and_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> bytes:
        listening = socket.create_server(("127.0.0.1", 0))
        app = Starlette(routes=[Route("/follow", follow)])
        async with asyncio.timeout(30):
            async with admin.serve(app, listening):
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                writer.write(b"GET /follow HTTP/1.1\r\nHost: x\r\n\r\n")
                await reader.readuntil(b"first\n")
            rest = await reader.read()
            writer.close()
            return rest

    assert asyncio.run(scenario()).endswith(b"0\r\n\r\n")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_request_that_is_still_being_read_is_read_to_its_end() -> None:
    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "body": (await receive())["body"]})
        await send({"type": "http.response.body", "more_body": False})

    async def scenario() -> list[Message]:
        stopping, coming, sent = asyncio.Event(), asyncio.Queue[Message](), list[Message]()
        stopping.set()

        async def send(message: Message) -> None:
            sent.append(message)

        answering = asyncio.create_task(Endings(take, stopping)({"type": "http"}, coming.get, send))
        await asyncio.sleep(0)
        coming.put_nowait({"type": "http.request", "body": b"whole", "more_body": False})
        await asyncio.wait_for(answering, 30)
        return sent

    head, end = asyncio.run(scenario())
    assert (head["body"], end.get("more_body")) == (b"whole", False)
