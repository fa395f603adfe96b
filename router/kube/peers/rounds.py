"""A round: one router asks all others to let go of some pods, and acts only when each has. No clock and no socket in here.

open -> refused                  somebody came, or the asker gave up
open -> agreed -> over           everybody has nothing there; the write follows, and then its outcome
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from router.model import RouteKey

How = Literal["shut", "draining"]  # as router.kube.model.Standing
State = Literal["open", "refused", "agreed", "gone", "kept"]
WORD = b"round:"


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """What is asked: take these pods out of the table, and say when nothing is left at them.

    Of "shut" pods nothing may be in flight or waiting for the whole route: an arrival refuses. "draining" ones get empty.
    """

    key: tuple[str, str, str]
    namespace: str
    revision: str
    how: How
    pods: tuple[tuple[str, str], ...]  # name, address

    @property
    def route(self) -> RouteKey:
        return RouteKey(*self.key)


class Round(msgspec.Struct, frozen=True, array_like=True):
    """As it stands on the board."""

    number: str  # unique
    asker: str  # member
    ask: Ask
    state: State = "open"
    empty: tuple[str, ...] = ()  # members with nothing there

    @property
    def register(self) -> str:
        return WORD.decode() + self.number


def answered(known: Round, member: str) -> Round | None:
    """The member has nothing there. None: nothing changes."""
    if known.state != "open" or member in known.empty:
        return None
    return msgspec.structs.replace(known, empty=(*known.empty, member))


def refused(known: Round) -> Round | None:
    """Somebody came, or it is given up. None: it is too late."""
    return msgspec.structs.replace(known, state="refused") if known.state == "open" else None


def agreed(known: Round, members: Iterable[str]) -> Round | None:
    """Every other member has nothing there. None: not all have said so, or one has refused."""
    if known.state != "open" or not set(members) <= {known.asker, *known.empty}:
        return None
    return msgspec.structs.replace(known, state="agreed")


def over(known: Round, gone: bool) -> Round | None:
    """Whether the pods go, as far as the asker knows."""
    if known.state not in ("open", "agreed"):
        return None
    return msgspec.structs.replace(known, state="gone" if gone else "kept")


def encode(known: Round) -> bytes:
    """For its register."""
    return _ENCODER.encode(known)


def decode(content: bytes) -> Round | None:
    """None: there is nothing, or nothing that this version understands."""
    try:
        return _DECODER.decode(content) if content else None
    except msgspec.MsgspecError:
        return None


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Round)
