"""What the API tells as it comes: events and logs as server-sent events, logs as plain text too, decisions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from controller.api.scope import Scope
from controller.api.view import over
from controller.errors import NoReplica
from controller.model import Function
from controller.ports import Deployer, FunctionStore, LogLine
from controller.progress import Event, Progress

TAIL = 100  # lines, unless asked otherwise
TAIL_MOST = 100_000
NAMED = 20  # replicas that are named to who asks for one that is not there
ALIVE = 15.0  # seconds of silence after which a stream shows that it lives, and notices who has gone


class Streams:
    """Endpoints that follow functions."""

    def __init__(
        self,
        store: FunctionStore,
        deployer: Deployer,
        progress: Progress,
        decisions: Callable[[str, str], Sequence[Mapping[str, object]]] | None,
        scope: Scope,
    ) -> None:
        self._store, self._deployer, self._progress, self._decisions = store, deployer, progress, decisions
        self._scope = scope

    async def events(self, request: Request) -> Response:
        function = self._scope.found(self._store, request)
        after = _number(request.headers.get("last-event-id"), "Last-Event-ID", 0, 1 << 62)
        if not _wants_events(request):
            items = self._progress.history((function.project, function.name), after)
            return Response(msgspec.json.encode({"items": items}), media_type="application/json")
        return _stream(_alive(self._steps(function, after, _flag(request, "follow"))))

    async def logs(self, request: Request) -> Response:
        function = self._scope.found(self._store, request)
        tail = _number(request.query_params.get("tail"), "tail", TAIL, TAIL_MOST)
        follow, replica = _flag(request, "follow"), request.query_params.get("replica", "")
        if replica:
            _must_be_among(await self._deployer.heard(function.project, function.name), replica, function.name)
        lines = self._deployer.logs(function.project, function.name, tail, follow, replica)
        if _wants_events(request):
            return _stream(_alive(_event(msgspec.json.encode(line)) async for line in lines))
        return StreamingResponse(_text(lines), media_type="text/plain; charset=utf-8", headers=_HEADERS)

    async def decisions(self, request: Request) -> Response:
        function = self._scope.found(self._store, request)
        items = self._decisions(function.project, function.name) if self._decisions else ()
        return Response(msgspec.json.encode({"items": items}), media_type="application/json")

    async def _steps(self, function: Function, after: int, follow: bool) -> AsyncGenerator[bytes]:
        """The events of this generation until it is settled, or for ever; at least one, so that the outcome is told."""
        key, told = (function.project, function.name), False
        async with contextlib.aclosing(self._progress.follow(key, after)) as batches:
            async for batch in batches:
                for event in batch:
                    after = event.id
                    if event.generation >= function.generation:
                        told = True
                        yield _event(msgspec.json.encode(event), event.id)
                now = self._store.get(*key)
                ended = not batch if now is None else not follow and over(now)
                if ended and not self._progress.history(key, after):  # else more came while this was sent
                    break
        if now and not told:
            for event in _outcome(now):
                yield _event(msgspec.json.encode(event))


_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def _stream(pieces: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(pieces, media_type="text/event-stream", headers=_HEADERS)


def _wants_events(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("accept", "")


def _event(content: bytes, number: int = 0) -> bytes:
    """One server-sent event; JSON has no line breaks of its own."""
    return b"%sdata: %s\n\n" % (b"id: %d\n" % number if number else b"", content)


def _outcome(function: Function) -> list[Event]:
    """The present state as an event, for who comes when all is over."""
    ready = [each for each in function.status.conditions if each.type == "Ready"]
    return [
        Event(
            id=0,
            time=each.last_transition_time,
            type="Ready",
            status=each.status,
            reason=each.reason,
            message=each.message,
            generation=function.generation,
        )
        for each in ready
    ]


def _must_be_among(heard: Collection[str], replica: str, function: str) -> None:
    """Raises NoReplica, which says what there is instead."""
    if replica not in heard:
        others = ", ".join(sorted(heard)[:NAMED]) + (f" and {len(heard) - NAMED} more" if len(heard) > NAMED else "")
        there = f"there is {others}" if others else "there is none at the moment"
        raise NoReplica(f'function "{function}" has no replica "{replica[:80]}": {there}')


async def _text(lines: AsyncIterator[LogLine]) -> AsyncGenerator[bytes]:
    async for line in lines:
        yield line.line.encode(errors="replace") + b"\n"


async def _alive(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The pieces, and an SSE comment after each ALIVE seconds of silence."""
    coming: asyncio.Future[bytes] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(pieces))
            done, _ = await asyncio.wait((coming,), timeout=ALIVE)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                piece = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield piece
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait((coming,))


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("1", "true", "yes")


def _number(text: str | None, name: str, usual: int, most: int) -> int:
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= most):
        raise HTTPException(400, f'{name} must be a number from 0 to {most}, was "{text[:80]}"')
    return int(text)
