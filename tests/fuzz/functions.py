"""Functions in memory: one that reads requests with h11 and answers, one that answers with given bytes.

h11 is the independent parser: what it will not read is a violation, unless the message broke off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import h11

from tests.fuzz.memory import Memory, Socket

DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
FINE = b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 0\r\n\r\n"


@dataclass
class Message:
    """One whole request, as h11 reads it."""

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]  # names in lower case
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Reader:
    """One connection's requests, read by h11."""

    def __init__(self) -> None:
        self.parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self.message: Message | None = None
        self.messages: list[Message] = []
        self.violation = ""

    def receive(self, data: bytes) -> None:
        """More bytes; b"" is the end."""
        if self.violation:
            return
        inside = self.message is not None
        try:
            self.parser.receive_data(data)
            while (event := self.parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.ConnectionClosed):
                    return
                self._take(event)
        except h11.RemoteProtocolError as error:
            if data or not inside:
                self.violation = str(error)

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self.message = Message(event.method, event.target, list(event.headers))
        elif isinstance(event, h11.Data) and self.message:
            self.message.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and self.message:
            self.message.trailers = list(event.headers)
            self.messages.append(self.message)
            self.message = None
            self.parser.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            self.parser.send(h11.EndOfMessage())
            if self.parser.our_state is h11.DONE and self.parser.their_state is h11.DONE:
                self.parser.start_next_cycle()


class Recorder:
    """Answers every whole request, and keeps it. Call it between events."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.open: list[tuple[Socket, Reader]] = []
        self.messages: list[Message] = []

    def __call__(self) -> bool:
        """Read what came; True if something did."""
        opened = self.memory.pool.opened
        while opened:
            self.open.append((opened.popleft(), Reader()))
        did = [self._serve(sock, reader) for sock, reader in self.open]  # each of them, so no generator
        return any(did)

    def _serve(self, sock: Socket, reader: Reader) -> bool:
        data = bytes(sock.outbox)
        sock.outbox.clear()
        if data:
            reader.receive(data)
        if sock.closed:
            reader.receive(b"")
            self.open = [one for one in self.open if one[0] is not sock]
        assert not reader.violation, f"the function got what h11 refuses: {reader.violation}"
        done, reader.messages = reader.messages, []
        self.messages += done
        if not sock.closed:
            sock.inbox.extend(EMPTY if message.method == b"HEAD" else FINE for message in done)
        return bool(data)


class Scripted:
    """Answers the first request with given pieces, one at each turn, then perhaps ends; every later one with `FINE`."""

    def __init__(self, memory: Memory, pieces: list[bytes], fin: bool = False, reset: bool = False) -> None:
        self.memory = memory
        self.pieces = [piece for piece in pieces if piece]
        self.fin = fin
        self.reset = reset
        self.first: Socket | None = None
        self.sockets: list[Socket] = []
        self.requests: list[int] = []  # which connection each head came by
        self.observe: Callable[[], None] = lambda: None

    def __call__(self) -> bool:
        """The next step."""
        opened = self.memory.pool.opened
        while opened:
            self.sockets.append(opened.popleft())
        self.observe()
        did = [self._serve(number, sock) for number, sock in enumerate(self.sockets)]
        return any(did) or self._play()

    def _serve(self, number: int, sock: Socket) -> bool:
        heads = sock.outbox.count(b"\r\n\r\n")
        sock.outbox.clear()
        for _ in range(heads):
            self.requests.append(number)
            if self.first is None:
                self.first = sock
            elif not sock.closed:
                sock.inbox.append(FINE)
        return heads > 0

    def _play(self) -> bool:
        """One piece, or the end behind the last one."""
        sock = self.first
        if sock is None or sock.closed or sock.fin or sock.reset:
            return False
        if self.pieces:
            sock.inbox.append(self.pieces.pop(0))
            return True
        if self.fin or self.reset:
            sock.fin, sock.reset = self.fin and not self.reset, self.reset
            return True
        return False
