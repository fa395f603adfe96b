"""A board in this process: for routers that share one, and for tests. It can be taken away, and begin anew."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from router.kube.peers.ports import Arrived, Away, Beat, Session, Swap

KEPT: Final = 70  # batches of one member
REMEMBERED: Final = 1000  # words
LISTEN: Final = 1.0  # seconds


class Board:
    """What is on the board. `clock` gives seconds; `down` is why it is away, "" = it is not."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.down = ""
        self.refuses = True
        self.lives = 0
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self.lives += 1
        self.began = self.clock()
        self.leases: dict[str, float] = {}
        self.batches: defaultdict[str, deque[tuple[int, float, bytes]]] = defaultdict(lambda: deque(maxlen=KEPT))
        self.registers: dict[str, bytes] = {}
        self.words: deque[tuple[int, bytes]] = deque(maxlen=REMEMBERED)
        self.count = 0

    def live(self) -> frozenset[str]:
        """Members whose leases run."""
        now = self.clock()
        self.leases = {member: ends for member, ends in self.leases.items() if ends > now - KEPT}
        return frozenset(member for member, ends in self.leases.items() if ends > now)

    async def open(self, member: str) -> Session:
        """As Exchange.open."""
        self.check()
        return MemorySession(self, member)

    def check(self, life: int | None = None) -> None:
        """Raises Away when it is, or when it is in another life than this one."""
        if self.down or (life is not None and life != self.lives):
            raise Away(self.down or "it began anew", refused=self.refuses)


class MemorySession:
    """As Session."""

    def __init__(self, board: Board, member: str) -> None:
        self._board = board
        self._member = member
        self._life = board.lives
        self._heard = board.count

    @property
    def epoch(self) -> str:
        return str(self._life)

    async def beat(self, lease: float, batches: Sequence[bytes], after: Mapping[str, str] | None) -> Beat:
        """As Session.beat."""
        await self._travel()
        board = self._board
        joined = self._member not in board.live()
        now = board.clock()
        board.leases[self._member] = now + lease
        for batch in batches:
            board.count += 1
            board.batches[self._member].append((board.count, now, batch))
        found = [
            Arrived(member, str(mark), now - at, content)
            for member, behind in (after or {}).items()
            for mark, at, content in board.batches.get(member, ())
            if mark > int(behind or 0)
        ]
        return Beat(now, board.live(), frozenset(board.leases) - board.live(), now - board.began, joined, found)

    async def read(self, register: str) -> bytes:
        """As Session.read."""
        await self._travel()
        return self._board.registers.get(register, b"")

    async def swap(
        self, register: str, before: bytes, after: bytes, word: bytes = b"", among: frozenset[str] | None = None
    ) -> Swap:
        """As Session.swap."""
        await self._travel()
        board = self._board
        now = board.registers.get(register, b"")
        if now != before or (among is not None and not board.live() <= among):
            return Swap(False, now)
        board.registers[register] = after
        if not after:
            del board.registers[register]
        if word:
            board.count += 1
            board.words.append((board.count, word))
        return Swap(True, after)

    async def listen(self) -> list[bytes]:
        """As Session.listen."""
        until = asyncio.get_running_loop().time() + LISTEN
        while True:
            await self._travel()
            found = [(count, word) for count, word in self._board.words if count > self._heard]
            if found or asyncio.get_running_loop().time() > until:
                self._heard = max((count for count, _ in found), default=self._heard)
                return [word for _, word in found]
            await asyncio.sleep(0.002)

    async def leave(self) -> None:
        """As Session.leave."""
        await self._travel()
        self._board.leases[self._member] = self._board.clock()

    async def close(self) -> None:
        """As Session.close."""

    async def _travel(self) -> None:
        await asyncio.sleep(0)
        self._board.check(self._life)
