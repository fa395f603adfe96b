"""What routers need of each other: a board that all of them read and write, and that may be away. No clock and no socket in here.

The board forgets everything when it begins anew; `Session.epoch` tells one life of it from the next. Its clock is the only
one that two routers compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Away(Exception):
    """The board cannot be reached.

    `refused`: it is down for everybody, as far as one can tell from here, and not just silent or out of our reach.
    """

    def __init__(self, reason: str, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


class Arrived(NamedTuple):
    """One batch of another member."""

    member: str
    mark: str  # its place: what to read on from
    age: float  # seconds since it was published
    content: bytes


class Beat(NamedTuple):
    """What one beat saw."""

    now: float  # seconds, by the board's clock
    members: frozenset[str]  # whose leases run, we among them
    past: frozenset[str]  # whose leases ended within about the last minute: their batches can still be read
    age: float  # seconds since the board began its present life
    joined: bool  # whether our own lease did not run before
    batches: list[Arrived]  # those of each member in order


class Swap(NamedTuple):
    """Whether a register was changed, and what is in it now."""

    done: bool
    content: bytes  # b"" = nothing


class Session(Protocol):
    """One connection's worth of a board. Every call raises Away; then close it and open another."""

    @property
    def epoch(self) -> str:
        """Differs whenever the board has forgotten what it knew."""

    async def beat(self, lease: float, batches: Sequence[bytes], after: Mapping[str, str] | None) -> Beat:
        """Renew our membership for `lease` seconds, publish batches, and read those of others, in one round trip.

        `after`: of whom to read, each behind a mark ("" = everything that is kept, about a minute); None: nothing is read.
        """

    async def read(self, register: str) -> bytes:
        """What is in a register; b"" = nothing."""

    async def swap(
        self, register: str, before: bytes, after: bytes, word: bytes = b"", among: frozenset[str] | None = None
    ) -> Swap:
        """Change a register from `before` to `after` (b"" = nothing), and tell all members a word, if that is still right.

        `among`: only if no other members are live than these. Registers that nobody changes are forgotten after ten minutes.
        """

    async def listen(self) -> list[bytes]:
        """Words told since the session began or the last call, in order, our own included; waits for a second at most."""

    async def leave(self) -> None:
        """Give our membership back at once; our batches stay for a while."""

    async def close(self) -> None:
        """Never raises."""


class Exchange(Protocol):
    """The way to a board. The adapters are `memory` and `redis`."""

    async def open(self, member: str) -> Session:
        """A session in which we are `member`. Raises Away."""
