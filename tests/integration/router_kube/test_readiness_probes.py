"""The router's own readiness probes against real sockets: HTTP, TCP and gRPC."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from router.kube.model import Probe
from router.kube.probing import passes

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def probed(serve: Serve | None, probe: Probe) -> bool:
    """Ask a server that answers like this; None: nobody listens."""

    async def whole() -> bool:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                assert serve is not None
                await serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the probe has seen enough
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if serve is None:
            server.close()
            await server.wait_closed()
        async with asyncio.timeout(60):
            found = await passes(probe, "127.0.0.1", port)
        server.close()
        await asyncio.sleep(0)
        return found

    return asyncio.run(whole())


def answering(answer: bytes, heads: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        writer.write(answer)
        await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", True),
        (b"HTTP/1.1 399 Odd\r\n\r\n", True),
        (b"HTTP/1.1 199 Odd\r\n\r\n", False),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 xyz\r\n", False),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False),
        (b"\xff" * 40000, False),
        (b"", False),
    ],
)
def test_http_from_200_to_399_is_ready_and_nothing_else(answer: bytes, ready: bool) -> None:
    assert probed(answering(answer), Probe("http")) is ready


def test_the_request_names_path_host_and_the_owners_fields() -> None:
    heads: list[bytes] = []
    probe = Probe("http", path="/r?x=1", fields=(("Host", "own.example"), ("X-A", "b")))
    assert probed(answering(b"HTTP/1.1 200 OK\r\n\r\n", heads), probe)
    lines = heads[0].split(b"\r\n")
    assert lines[0] == b"GET /r?x=1 HTTP/1.1"
    assert {b"Host: own.example", b"X-A: b", b"Connection: close"} <= set(lines)
    assert sum(line.lower().startswith(b"host:") for line in lines) == 1


def test_nobody_listening_is_not_ready_and_one_who_says_nothing_neither_within_its_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    for kind in ("http", "tcp", "grpc"):
        assert not probed(None, Probe(kind))  # type: ignore[arg-type]
    assert not probed(silent, Probe("http", timeout=0.05))
    assert not probed(silent, Probe("grpc", timeout=0.05))
    assert probed(silent, Probe("tcp"))


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def grpc(*frames: bytes, asked: list[bytes] | None = None) -> Serve:
    """A server that reads the call and answers with these frames."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        writer.write(frame(4, 0, 0, b"") + frame(4, 1, 0, b""))
        while True:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if head[3] == 0 and head[8] == 1:
                if asked is not None:
                    asked.append(payload)
                break
        for each in frames:
            writer.write(each)
        await writer.drain()
        await reader.read()

    return serve


def message(status: int) -> bytes:
    return b"\0\0\0\0\x02" + bytes([8, status])


@pytest.mark.parametrize(
    ("frames", "ready"),
    [
        ((frame(1, 4, 1, b"\x88"), frame(0, 0, 1, message(1)), frame(1, 5, 1, b"\x88")), True),
        ((frame(1, 4, 1, b"\x88"), frame(0, 8, 1, b"\x02" + message(1) + b"\0\0")), True),
        ((frame(0, 0, 1, message(1)[:3]), frame(0, 1, 1, message(1)[3:])), True),
        ((frame(0, 0, 1, message(2)),), False),
        ((frame(1, 5, 1, b"\x88"),), False),
        ((frame(3, 0, 1, b"\0\0\0\1"),), False),
        ((frame(7, 0, 0, b"\0" * 8),), False),
        ((frame(0, 0, 1, b"\0" * 100000),), False),
    ],
)
def test_grpc_is_ready_when_the_health_service_says_serving(frames: tuple[bytes, ...], ready: bool) -> None:
    assert probed(grpc(*frames), Probe("grpc", timeout=0.5)) is ready


def test_grpc_asks_for_the_named_service() -> None:
    asked: list[bytes] = []
    assert probed(grpc(frame(0, 1, 1, message(1)), asked=asked), Probe("grpc", service="hello"))
    assert asked == [b"\0\0\0\0\x07\x0a\x05hello"]
