"""The form `def handler(request)`: brings it to ASGI, plain functions by way of the thread pool."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from concurrent.futures import Executor
from typing import Any, Callable

from _cloudbase_runtime.asgi import Receive, Scope, Send
from _cloudbase_runtime.messages import Headers, Request, Response, piece

Handler = Callable[[Request], Any]


class TooLarge(Exception):
    """A body has more bytes than the limit."""


class HandlerApplication:
    """An ASGI application that calls a handler."""

    def __init__(self, handler: Handler, pool: Executor, body_limit: int) -> None:
        self._handler = handler
        self._pool = pool
        self._limit = body_limit
        self._is_async = is_async(handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _collect(receive, self._limit)
        except TooLarge:
            detail = f"A handler takes bodies up to {self._limit} bytes; an ASGI or WSGI app can stream them."
            await _answer(
                send,
                Response({"type": "about:blank", "title": "Content Too Large", "status": 413, "detail": detail}, 413, _PROBLEM),
            )
            return
        if body is None:
            return  # the caller went before its request was whole
        request = Request(
            scope["method"], scope["path"], scope["query_string"].decode("latin-1"), Headers(scope["headers"]), body
        )
        value = await self._call(request)
        await _answer(send, Response.of(value), self._pool)

    async def _call(self, request: Request) -> Any:
        if self._is_async:
            return await self._handler(request)
        value = await in_pool(self._pool, self._handler, request)
        return await value if inspect.isawaitable(value) else value


_PROBLEM = {"content-type": "application/problem+json"}


def is_async(function: Any) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


async def in_pool(pool: Executor, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a plain function in a thread, with the request's context."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(pool, context.run, function, *arguments)


async def _collect(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None when the caller went away before its end."""
    pieces = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message["body"])
        size += len(message["body"])
        if size > limit:
            raise TooLarge
        if not message["more_body"]:
            return b"".join(pieces)


async def _answer(send: Send, response: Response, pool: Executor | None = None) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if isinstance(response.body, bytes):
        await send({"type": "http.response.body", "body": response.body})
        return
    pieces = response.body if isinstance(response.body, AsyncIterable) else _in_threads(response.body, pool)
    try:
        async for value in pieces:
            await send({"type": "http.response.body", "body": piece(value), "more_body": True})
    finally:
        # Now, not when it is collected: what the generator holds is let go as soon as the caller has.
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
    await send({"type": "http.response.body", "body": b""})


async def _in_threads(values: Iterable[Any], pool: Executor | None) -> AsyncIterator[Any]:
    """A plain iterator's values, each taken in a thread because taking it may block."""
    assert pool is not None
    iterator = iter(values)
    end = object()
    try:
        while True:
            value = await in_pool(pool, next, iterator, end)
            if value is end:
                return
            yield value
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await in_pool(pool, close)
