"""What the control process and its workers tell each other, and how it stands on a stream. No clock and no socket in here.

A frame is four bytes of length (big-endian) and a message in MessagePack. Both sides are of one version and start together, so
fields go by position. Messages of one direction are taken over in order: an answer tells that everything before it is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from router.model import Backend, Route, RouteKey, Settings

T = TypeVar("T")


class _Message(msgspec.Struct, array_like=True, tag=True, gc=False):
    pass


# from the control process


class Setup(_Message):
    """The first one: every value of router.settings.Settings by its name, and which of the workers this is."""

    settings: Mapping[str, Any]
    place: int  # from 0


class Put(_Message):
    """A route as a worker needs it; `settings` only where they are not the default."""

    key: RouteKey
    backends: tuple[Backend, ...]
    settings: Settings | None
    hosts: tuple[str, ...]
    row: int  # as router.workers.rooms.Rows.number


class Remove(_Message):
    """Forget a route."""

    key: RouteKey


class Starting(_Message):
    """Not all routes are known yet, or they are."""

    yes: bool


class Open(_Message):
    """The table is whole: accept clients."""


class Woken(_Message):
    """The write that wakes a route is done."""

    key: RouteKey


class Scheduled(_Message):
    """A route's first address appeared."""

    key: RouteKey


class Lend(_Message):
    """How many requests a worker may have in flight at each address of a revision. Answered with a Need of the same number."""

    key: RouteKey
    revision: str
    number: int
    limits: Mapping[str, int]
    watch: bool  # others want slots, too: tell of every change


class Look(_Message):
    """Asks for a Seen."""

    number: int
    key: RouteKey


class Beat(_Message):
    """Asks for the loads to be written into the book."""


class Drain(_Message):
    """Finish in order, and end; seconds."""

    grace: float
    delay: float


# from a worker


class Ready(_Message):
    """It accepts clients."""


class Wake(_Message):
    """Somebody waits for a route of which nothing is ready."""

    key: RouteKey


class Need(_Message):
    """What a worker has and wants of a revision with a hard limit."""

    key: RouteKey
    revision: str
    number: int  # of the last Lend that was taken over; 0: none
    in_flight: Mapping[str, int]  # by address
    waiting: int
    oldest: float  # since when the oldest of them waits, monotonic seconds


class Seen(_Message):
    """What is there of a route, now that everything sent before the Look is taken over."""

    number: int
    present: int  # in flight + waiting
    in_flight: Mapping[str, tuple[int, Mapping[str, int]]]  # by revision: all of it, and what is at each address


class Unreachable(_Message):
    """All addresses of which a worker hears nothing, by route; sent when there are others than before."""

    found: tuple[tuple[RouteKey, frozenset[str]], ...]


Order = Setup | Put | Remove | Starting | Open | Woken | Scheduled | Lend | Look | Beat | Drain
Report = Ready | Wake | Need | Seen | Unreachable

_DEFAULT = Settings()
_LENGTH = 4  # bytes
_encode = msgspec.msgpack.Encoder().encode


def put(route: Route, row: int) -> Put:
    """A route as a message. The policy stays behind: workers scale nothing."""
    return Put(route.key, route.backends, None if route.settings == _DEFAULT else route.settings, route.hosts, row)


def route_of(message: Put) -> Route:
    """The route in a message."""
    return Route(message.key, message.backends, message.settings or _DEFAULT, None, message.hosts)


def frames(messages: Iterable[_Message]) -> bytes:
    """Messages as they stand on the stream."""
    bodies = (_encode(message) for message in messages)
    return b"".join(part for body in bodies for part in (len(body).to_bytes(_LENGTH, "big"), body))


class Reader(Generic[T]):
    """Takes a stream apart, however it comes in pieces."""

    def __init__(self, kind: Any) -> None:
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._rest = b""

    def feed(self, data: bytes) -> list[T]:
        """The messages that are whole now. Raises msgspec.DecodeError: the other side is of another version."""
        data = self._rest + data
        found: list[T] = []
        at, end = 0, len(data)
        while at + _LENGTH <= end:
            stop = at + _LENGTH + int.from_bytes(data[at : at + _LENGTH], "big")
            if stop > end:
                break
            found.append(self._decode(data[at + _LENGTH : stop]))
            at = stop
        self._rest = data[at:]
        return found
