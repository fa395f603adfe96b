"""A port of this machine that is a port of a pod: every connection to it goes through the API server, as `kubectl port-forward`.

One WebSocket for each connection, in Kubernetes' protocol v4.channel.k8s.io: every message begins with a byte that names its
channel, 0 the bytes, 1 what went wrong. Threads, since the commands are not asynchronous.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from cloudbase.settings import Address

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1  # channels of the one port
CONNECT_SECONDS = 15.0
BINARY, CLOSE = 2, 8  # opcodes of WebSocket, RFC 6455 5.2
CHUNK = 64 << 10  # bytes


@dataclass(frozen=True, slots=True)
class Target:
    """A pod's port, and how the API server is asked for it."""

    server: str  # https://host:port
    tls: ssl.SSLContext | None
    server_name: str  # of the certificate; "" = the host
    authorization: str  # "" with client certificates
    namespace: str
    pod: str
    port: int

    @property
    def url(self) -> str:
        """Of the WebSocket."""
        parts = urlsplit(self.server)
        scheme = "wss" if parts.scheme == "https" else "ws"
        path = f"{parts.path.rstrip('/')}/api/v1/namespaces/{quote(self.namespace)}/pods/{quote(self.pod)}/portforward"
        return f"{scheme}://{parts.netloc}{path}?ports={self.port}"


class Forward:
    """Listens on loopback until `close`. `trouble` is why the last connection could not be made, "" when it could."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self._listener.getsockname()[1])
        self.trouble = ""
        threading.Thread(target=self._accept, name=f"forward to {target.pod}", daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._join, args=(connection,), name="forwarded", daemon=True).start()

    def _join(self, connection: socket.socket) -> None:
        """One connection, from its beginning to its end."""
        with connection:
            try:
                remote = _open(self._target)
            except Exception as error:  # the library has a dozen kinds: all mean that there is no way there
                self.trouble = str(error) or type(error).__name__
                return
            try:
                self.trouble = _pump(connection, remote)
            except (OSError, ValueError) as error:
                self.trouble = str(error)
            finally:
                with contextlib.suppress(Exception):  # it is over either way
                    remote.close(timeout=1)


def _open(target: Target) -> Any:
    import websocket  # comes with the extra `kube`

    options: dict[str, Any] = {"context": target.tls} if target.tls else {}
    if target.server_name:
        options["server_hostname"] = target.server_name
    header = [f"Authorization: {target.authorization}"] if target.authorization else []
    opened = websocket.create_connection(
        target.url, timeout=CONNECT_SECONDS, subprotocols=[PROTOCOL], header=header, sslopt=options, suppress_origin=True,
        http_no_proxy=["*"],
    )  # fmt: skip
    opened.settimeout(None)  # a log may be silent for hours
    return opened


class _Ended(Exception):
    """The other side is done; says what it reported, "" when nothing was wrong."""


def _pump(connection: socket.socket, remote: Any) -> str:
    """Carry bytes both ways until one side ends; returns what the error channel said."""
    greeted: set[int] = set()  # channels whose first message, the port's number, has come
    while True:
        readable = _readable(connection, remote.sock)
        if connection in readable:
            if not (data := connection.recv(CHUNK)):
                return ""
            remote.send_binary(bytes([DATA]) + data)
        if remote.sock in readable:
            try:
                connection.sendall(_received(remote, greeted))
            except _Ended as ended:
                return str(ended)


def _readable(connection: socket.socket, remote: Any) -> list[Any]:
    """Which of the two has something; TLS may have decrypted more than was read."""
    if hasattr(remote, "pending") and remote.pending():
        return [remote]
    return select.select([connection, remote], [], [])[0]


def _received(remote: Any, greeted: set[int]) -> bytes:
    """Bytes of the next message, none where it is for the protocol only. Raises _Ended."""
    opcode, message = remote.recv_data(control_frame=True)
    if opcode == CLOSE:
        raise _Ended
    if opcode != BINARY or not message:
        return b""  # a ping, answered by the library
    channel, content = message[0], bytes(message[1:])
    if channel not in greeted:
        greeted.add(channel)
        content = content[2:]
    if channel == ERROR and content:
        raise _Ended(content.decode(errors="replace"))
    return content if channel == DATA else b""
