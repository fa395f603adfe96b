"""Requests and streamed responses over pooled connections, with deadlines; every failure to get an answer is Unreachable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from kube.access import Access, BadAccess
from kube.connection import Connection, Pool
from kube.errors import Attempt, Unreachable
from kube.fence import check_fence
from kube.wire import Head, Response, WireError, encode_request

PARALLEL = 32  # requests at once, watches not counted: more would only queue in the API server
FAILURES = (OSError, EOFError, WireError, BadAccess)  # ssl.SSLError and TimeoutError are OSErrors


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent."""

    attempt: Attempt
    method: str
    target: str
    fields: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response."""

    head: Head
    body: bytes


class Stream:
    """A response whose body comes bit by bit."""

    def __init__(self, attempt: Attempt, connection: Connection, response: Response, first: bytes, head: Head) -> None:
        self._attempt = attempt
        self._connection = connection
        self._response = response
        self._first = first
        self.head = head

    async def chunks(self, silence: float) -> AsyncGenerator[bytes, None]:
        """Body bytes as they come. Raises Unreachable when the connection breaks or no byte comes for `silence` seconds."""
        if self._first:
            yield self._first
        while not self._response.done:
            try:
                async with asyncio.timeout(silence) as deadline:
                    data = await _next(self._connection, self._response)
            except FAILURES as error:
                silent = isinstance(error, TimeoutError) and deadline.expired()
                raise Unreachable(self._attempt, f"silent for {silence:g} s" if silent else _words(error)) from error
            if data:
                yield data


class Transport:
    """HTTP/1.1 to one API server."""

    def __init__(self, access: Access, agent: str) -> None:
        self._access = access
        self._agent = agent
        self._pool = Pool(access)
        self._slots = asyncio.Semaphore(PARALLEL)

    def close(self) -> None:
        self._pool.close()

    async def exchange(self, request: Request, timeout: float) -> Reply:
        """Send a request and read the whole answer within `timeout` seconds. Raises Unreachable.

        A GET is sent a second time when the idle connection it was sent on turns out to be closed. Nothing else is: it may
        have been carried out.
        """
        try:
            async with asyncio.timeout(timeout), self._slots:
                return await self._send_and_read(request)
        except TimeoutError as error:
            raise Unreachable(request.attempt, f"no answer from {self._access.server} within {timeout:g} s") from error

    async def _send_and_read(self, request: Request) -> Reply:
        while True:
            connection = await self._connection(request)
            try:
                response, first = await self._begin(connection, request)
                body = [first]
                while not response.done:
                    body.append(await _next(connection, response))
            except FAILURES as error:
                connection.abort()
                if connection.used and request.method == "GET":
                    continue
                raise Unreachable(request.attempt, _words(error)) from error
            except BaseException:
                connection.abort()
                raise
            self._put_back(connection, response)
            assert response.head is not None
            return Reply(response.head, b"".join(body))

    @asynccontextmanager
    async def stream(self, request: Request, timeout: float) -> AsyncIterator[Stream]:
        """Send a request and read the head within `timeout` seconds, the body as it comes. Raises Unreachable.

        Always on a new connection, which is pooled when the body has ended. So the watches, which end every half minute, keep one
        warm, and the PATCH of a cold start need not wait for a TLS handshake.
        """
        connection = await self._connection(request, fresh=True)
        try:
            try:
                async with asyncio.timeout(timeout):
                    response, first = await self._begin(connection, request)
            except FAILURES as error:
                raise Unreachable(request.attempt, _words(error)) from error
            assert response.head is not None
            yield Stream(request.attempt, connection, response, first, response.head)
        except BaseException:
            connection.abort()
            raise
        self._put_back(connection, response)

    async def _connection(self, request: Request, fresh: bool = False) -> Connection:
        try:
            return await (self._pool.connect() if fresh else self._pool.take())
        except TimeoutError as error:
            raise Unreachable(request.attempt, f"no connection to {self._access.server} in time") from error
        except (OSError, BadAccess) as error:
            raise Unreachable(request.attempt, f"no connection to {self._access.server}: {_words(error)}") from error

    async def _begin(self, connection: Connection, request: Request) -> tuple[Response, bytes]:
        fields = {
            "Host": urlsplit(self._access.server).netloc,
            "User-Agent": self._agent,
            "Accept": "application/json",
            **request.fields,
        }
        authorization = await self._access.authorization()
        if authorization:
            fields["Authorization"] = authorization
        check_fence()
        await connection.send(encode_request(request.method, request.target, fields, request.body))
        response, first = Response(), b""
        while response.head is None:
            first = await _next(connection, response)
        return response, first

    def _put_back(self, connection: Connection, response: Response) -> None:
        if response.done and response.keep:
            self._pool.give_back(connection)
        else:
            connection.abort()


async def _next(connection: Connection, response: Response) -> bytes:
    data = await connection.receive()
    if data:
        return response.feed(data)
    response.eof()
    return b""


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
