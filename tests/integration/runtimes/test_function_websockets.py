"""WebSockets of functions: echo, order, size, refusal, and their end at SIGTERM; the peer is the `websockets` package."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, unix_connect

from tests.shared.function_process import FunctionProcess, function

EXAMPLES = Path(__file__).parents[3] / "examples"
ECHO = pytest.mark.parametrize("name", ["node-websocket", "python-websocket"])


def example(name: str, **env: str) -> FunctionProcess:
    return FunctionProcess(name.split("-")[0], EXAMPLES / name, env=env)


def dial(process: FunctionProcess, **options: object) -> ClientConnection:
    return unix_connect(process.socket, "ws://function/x", compression=None, max_size=None, open_timeout=10, **options)  # type: ignore[arg-type]


@ECHO
def test_text_and_bytes_of_any_size_come_back_in_order(name: str) -> None:
    messages: list[str | bytes] = ["", "hello", "ü" * 100, b"\x00\xff", "x" * 126, b"y" * 65535, b"z" * 65536, "w" * 1_000_000]
    with example(name) as process, dial(process) as client:
        for message in messages:
            client.send(message)
        assert [client.recv(timeout=60) for _ in messages] == messages


@ECHO
def test_a_close_is_answered_and_the_process_ends_when_the_last_tunnel_has(name: str) -> None:
    with example(name) as process:
        with dial(process) as client:
            client.send("open")
            assert client.recv(timeout=60) == "open"
            process.terminate()
            client.send("still")
            assert client.recv(timeout=60) == "still"
            assert process.process.poll() is None
        assert process.exit_code() == 0


def test_an_asgi_websocket_is_closed_with_1001_at_the_end_of_the_grace() -> None:
    with example("python-websocket", CLOUDBASE_GRACE="1.3") as process, dial(process) as client:
        client.send("open")
        client.recv(timeout=60)
        process.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        assert process.exit_code() == 0


def test_an_asgi_application_chooses_a_subprotocol_and_sees_path_and_close(tmp_path: Path) -> None:
    text = """
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    headers = [(b"x-path", scope["path"].encode())]
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][1], "headers": headers})
    message = await receive()
    while message["type"] != "websocket.disconnect":
        message = await receive()
    print("closed", message["code"], message["reason"])
"""
    with function("python", tmp_path, app__py=text) as process:
        with dial(process, subprotocols=["one", "two"]) as client:
            assert client.subprotocol == "two"
            assert client.response is not None
            assert client.response.headers["x-path"] == "/x"
            client.close(4001, "enough")
        process.terminate()
        assert process.exit_code() == 0
        assert "closed 4001 enough" in process.stdout


@pytest.mark.parametrize(
    ("body", "status"), [("await send({'type': 'websocket.close'})", 403), ("raise RuntimeError('secret')", 500), ("pass", 500)]
)
def test_a_websocket_that_is_not_accepted_is_refused_by_an_answer(body: str, status: int, tmp_path: Path) -> None:
    lifespan = "if scope['type'] == 'lifespan':\n        raise NotImplementedError"
    text = f"async def app(scope, receive, send):\n    {lifespan}\n    {body}\n"
    with function("python", tmp_path, app__py=text) as process:
        with pytest.raises(InvalidStatus) as refused:
            dial(process)
        assert refused.value.response.status_code == status


def test_an_application_that_throws_closes_with_1011(tmp_path: Path) -> None:
    text = """
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    raise RuntimeError("secret")
"""
    with function("python", tmp_path, app__py=text) as process, dial(process) as client:
        client.send("go")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02hi", 1002),
        (b"\x83\x80aaaa", 1002),
        (b"\xc1\x80aaaa", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x09\x80aaaa", 1002),
    ],
    ids=["unmasked", "unknown opcode", "reserved bit", "not UTF-8", "fragmented ping"],
)
def test_a_client_that_breaks_the_protocol_is_told_so(frame: bytes, code: int) -> None:
    head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    with example("python-websocket") as process, process.connect() as client:
        client.sendall(head.encode())
        answer = client.recv(65536)
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
        client.sendall(frame)
        closing = _everything(client)
    assert closing[0] == 0x88
    assert int.from_bytes(closing[2:4], "big") == code


def _everything(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received
