"""A function stand-in with a fixed service time, which itself counts how many requests it has at once.

`/` answers "Hello, world!" after that many seconds; `/peak` tells the most that were ever in flight together, and forgets it.
"""

from __future__ import annotations

import argparse
import asyncio

HEAD_END = b"\r\n\r\n"


class Function:
    """What all connections share."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds  # service time
        self.present = 0  # requests now
        self.peak = 0  # the most since it was last asked for

    def take_peak(self) -> int:
        """The most that were in flight together since the last call."""
        peak, self.peak = self.peak, self.present
        return peak


class Connection(asyncio.Protocol):
    """One connection; requests without a body, one after the other."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every complete head after the service time."""
        self._buffer += data
        while HEAD_END in self._buffer:
            head, _, self._buffer = self._buffer.partition(HEAD_END)
            self._begin(head)

    def _begin(self, head: bytes) -> None:
        function = self._function
        if head.split(b" ", 2)[1] == b"/peak":
            self._answer(b"%d" % function.take_peak())
            return
        function.present += 1
        function.peak = max(function.peak, function.present)
        asyncio.get_running_loop().call_later(function.seconds, self._end)

    def _end(self) -> None:
        self._function.present -= 1
        self._answer(b"Hello, world!")

    def _answer(self, body: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )


async def serve(seconds: float) -> None:
    """Listen on a free loopback port, print it, and serve until the process ends."""
    function = Function(seconds)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(function), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.upstream", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("seconds", type=float, help="that each request takes; the port is printed")
    asyncio.run(serve(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
