"""The functions behind the router in the hostile corpus: one that writes down what it got, one that answers with given bytes.

Both run in a thread of their own over plain sockets; what they got is read by h11, a parser that nobody here wrote.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from dataclasses import dataclass, field

import h11

from tests.integration.hostile.hostile_answers import CASES

FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Message:
    """One whole request."""

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]  # names in lower case
    body: bytes = b""


class Function:
    """A thread that serves connections on a port of its own, one selector for all, so that bytes are seen in the order they came."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.wakeup, self.waker = socket.socketpair()
        self.selector.register(self.wakeup, selectors.EVENT_READ)
        self.open: list[socket.socket] = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        """Until stop()."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.wakeup:
                    return
                if key.fileobj is self.listener:
                    connection, _ = self.listener.accept()
                    connection.setblocking(False)
                    self.open.append(connection)
                    self.selector.register(connection, selectors.EVENT_READ, self.accepted(connection))
                else:
                    self.read(key.data)

    def accepted(self, connection: socket.socket) -> Connection:
        """What this function keeps of a connection."""
        raise NotImplementedError

    def received(self, connection: Connection, data: bytes) -> None:
        """Bytes came, or the end (b"")."""
        raise NotImplementedError

    def read(self, connection: Connection) -> None:
        """Take what is there now."""
        try:
            data = connection.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received(connection, data)
        if not data:
            self.close(connection)

    def close(self, connection: Connection) -> None:
        """Close our side."""
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(connection.socket)
        connection.socket.close()
        if connection.socket in self.open:
            self.open.remove(connection.socket)

    def stop(self) -> None:
        """End the thread and every connection."""
        self.waker.send(b"x")
        self.thread.join(5)
        for connection in (*self.open, self.listener, self.wakeup, self.waker):
            connection.close()
        self.selector.close()


@dataclass
class Connection:
    """One connection from the router."""

    socket: socket.socket
    parser: h11.Connection = field(default_factory=lambda: h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20))
    message: Message | None = None
    buffer: bytes = b""

    def send(self, data: bytes) -> None:
        """All of it; the router is there to read it, or gone."""
        self.socket.setblocking(True)
        with contextlib.suppress(OSError):
            self.socket.sendall(data)
        self.socket.setblocking(False)


class Recorder(Function):
    """Answers everything with 200 "ok" and keeps each whole message, and whatever h11 will not read."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.violations: list[str] = []
        super().__init__()

    def accepted(self, connection: socket.socket) -> Connection:
        return Connection(connection)

    def received(self, connection: Connection, data: bytes) -> None:
        parser = connection.parser
        try:
            parser.receive_data(data)
            while (event := parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.ConnectionClosed):
                    return
                self.take(connection, event)
        except h11.RemoteProtocolError as error:
            if data or connection.message is None:  # a message that breaks off is right: nobody took it for whole
                self.violations.append(str(error))
            connection.message = None

    def take(self, connection: Connection, event: object) -> None:
        """One event of h11."""
        if isinstance(event, h11.Request):
            connection.message = Message(event.method, event.target, list(event.headers))
        elif isinstance(event, h11.Data) and connection.message:
            connection.message.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and connection.message:
            self.whole(connection, connection.message)

    def whole(self, connection: Connection, message: Message) -> None:
        """A message ended: before a barrier is answered, all that came before it is read."""
        connection.message = None
        if message.target.startswith(b"/barrier"):
            for key in list(self.selector.get_map().values()):
                if isinstance(key.data, Connection) and key.data is not connection:
                    self.read(key.data)
        else:
            self.messages.append(message)
        if message.method == b"CONNECT":  # h11 would go over to a tunnel
            connection.send(FINE)
            connection.parser = h11.Connection(h11.SERVER)
            return
        body = b"" if message.method == b"HEAD" else b"ok"
        head = h11.Response(status_code=200, headers=[("Content-Length", str(len(body)))])
        connection.send(
            b"".join(connection.parser.send(event) or b"" for event in (head, h11.Data(data=body), h11.EndOfMessage()))
        )
        connection.parser.start_next_cycle()


class Answerer(Function):
    """Answers /case/N with the bytes of case N, anything else with 200 "ok"; knows which connection a request came by."""

    def __init__(self) -> None:
        self.came_by: dict[bytes, int] = {}  # target -> number of the connection
        self.accepted_so_far = 0
        super().__init__()

    def accepted(self, connection: socket.socket) -> Connection:
        self.accepted_so_far += 1
        made = Connection(connection)
        made.message = Message(b"", b"", [(b"number", b"%d" % self.accepted_so_far)])
        return made

    def received(self, connection: Connection, data: bytes) -> None:
        connection.buffer += data
        assert connection.message is not None
        while b"\r\n\r\n" in connection.buffer:
            head, _, connection.buffer = connection.buffer.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1]
            self.came_by[target] = int(connection.message.fields[0][1])
            if target.startswith(b"/case/"):
                case = CASES[int(target.rpartition(b"/")[2])]
                connection.send(case.send)
                if case.ends:
                    self.close(connection)
                    return
            else:
                connection.send(FINE)
