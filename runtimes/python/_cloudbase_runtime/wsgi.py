"""WSGI (PEP 3333) brought to ASGI: the application runs in a thread, its body streams both ways."""

from __future__ import annotations

import asyncio
import contextvars
import io
import sys
from collections.abc import Awaitable, Iterable
from concurrent.futures import Executor
from typing import Any, Callable
from urllib.parse import quote_from_bytes, unquote_to_bytes

from _cloudbase_runtime.asgi import Message, Receive, Scope, Send

StartResponse = Callable[..., Callable[[bytes], None]]
Wsgi = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class WsgiApplication:
    """An ASGI application that calls a WSGI one."""

    def __init__(self, application: Wsgi, pool: Executor) -> None:
        self._application = application
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()

        def wait(work: Awaitable[Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(_as_coroutine(work), loop).result()

        call = _Call(environ_of(scope, _Input(receive, wait)), send, wait)
        context = contextvars.copy_context()
        await loop.run_in_executor(self._pool, context.run, call.run, self._application)


class _Call:
    """One call of the application, all of it in a thread of the pool."""

    def __init__(self, environ: dict[str, Any], send: Send, wait: Callable[[Awaitable[Any]], Any]) -> None:
        self._environ = environ
        self._send = send
        self._wait = wait
        self._start: Message | None = None
        self._sent = False

    def run(self, application: Wsgi) -> None:
        pieces = application(self._environ, self.start_response)
        try:
            if isinstance(pieces, (list, tuple)) and len(pieces) == 1 and not self._sent:
                self._whole(pieces[0])
                return
            for piece in pieces:
                if piece:  # PEP 3333: the head waits for the first piece that is not empty
                    self.write(piece)
            self._put(b"", more=False)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info is not None and self._sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._start is not None and exc_info is None:
            raise RuntimeError("start_response was called twice")
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._start = {"type": "http.response.start", "status": int(status.split(" ", 1)[0]), "headers": fields}
        return self.write

    def _whole(self, body: bytes) -> None:
        """The usual answer, one piece: its length is known, and one trip to the loop is enough."""
        if self._start is not None and all(name.lower() != b"content-length" for name, _ in self._start["headers"]):
            self._start["headers"].append((b"content-length", b"%d" % len(body)))
        self._put(body, more=False)

    def write(self, piece: bytes) -> None:
        self._put(piece, more=True)

    def _put(self, piece: bytes, more: bool) -> None:
        """Sends a piece; returns when the caller can take more."""
        if self._start is None:
            raise RuntimeError("the application gave a body before it called start_response")
        start = None if self._sent else self._start
        self._sent = True
        self._wait(self._both(start, {"type": "http.response.body", "body": piece, "more_body": more}))

    async def _both(self, start: Message | None, body: Message) -> None:
        if start is not None:
            await self._send(start)
        await self._send(body)


class _Input(io.RawIOBase):
    """`wsgi.input`: blocks the thread until more of the body has come."""

    def __init__(self, receive: Receive, wait: Callable[[Awaitable[Any]], Any]) -> None:
        self._receive = receive
        self._wait = wait
        self._piece = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._piece and not self._ended:
            message = self._wait(self._receive())
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("the caller went away before its request was whole")
            self._piece = memoryview(message["body"])
            self._ended = not message["more_body"]
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size


async def _as_coroutine(work: Awaitable[Any]) -> Any:
    return await work


def environ_of(scope: Scope, body: io.RawIOBase) -> dict[str, Any]:
    """The environ of a request. Strings are bytes in Latin-1, as PEP 3333 wants them."""
    host, port = scope["server"]
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": scope["root_path"],
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "RAW_URI": quote_from_bytes(scope["raw_path"], safe="/%") + ("?" if scope["query_string"] else ""),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BufferedReader(body, 65536),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw, content in scope["headers"]:
        name = raw.decode("latin-1").upper().replace("-", "_")
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        value = content.decode("latin-1")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
