"""Clients that ask in pieces, ahead of the answers, slowly, or go away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.asking import Ask, draw_ask
from tests.chaos.hearing import Got, Hearing
from tests.chaos.network import Wire
from tests.chaos.verdicts import check

if TYPE_CHECKING:
    from tests.chaos.world import World

ROOMS = (Wire.room, Wire.room, 2000, 100)  # bytes that a slow peer lets lie


class Near:
    """One connection."""

    def __init__(self, world: World, number: int) -> None:
        draws = world.draws
        self.world = world
        self.name = f"client {number}"
        self.asks = self._plan(number)
        self.hearing = Hearing(self.asks, lambda n: self.place > n or self.offset >= self.asks[n].head, self._check)
        self.depth = draws.pick((1, 1, 2, 5))  # requests that it sends ahead
        self.hasty = draws.chance(30)  # it sends its FIN behind its last request
        self.place = 0  # of the request that is sent at present
        self.offset = 0  # bytes of it that are out
        self.to_tunnel: bytes | None = None  # what is left to say behind a 101
        self.cut = ""  # how we ended it: fin | reset
        self.left = False  # we went away although more was to come …
        self.tidy = True  # … but not in the middle of a request
        self.stopped = False  # the router said that it is over
        self.sock = Wire(draws, "rough" in world.faults)
        self.sock.room = draws.pick(ROOMS) if "slow" in world.faults else Wire.room
        world.memory.clients.add(self.sock, "192.0.2.1")  # type: ignore[arg-type]

    def _plan(self, number: int) -> list[Ask]:
        world, draws = self.world, self.world.draws
        asks: list[Ask] = []
        count = 1 + draws.below(6)
        while len(asks) < count:
            tag = b"c%dn%d" % (number, len(asks))
            ask = world.asks[tag] = draw_ask(draws, tag, world.faults, len(asks) == count - 1)
            asks += [ask] * (1 if ask.final else draws.pick((1, 1, 2, 4)))
        return asks

    @property
    def got(self) -> list[Got]:
        """The answers so far, the last one perhaps not whole."""
        return self.hearing.got

    @property
    def over(self) -> bool:
        """There is nothing left to say or to hear."""
        return self.cut == "reset" or self.stopped

    def act(self) -> bool:
        """One step. False: there was nothing to do."""
        if self.over:
            return False
        if self.world.draws.chance(50):
            return self.hear() or self.say()
        return self.say() or self.hear()

    def _check(self, got: Got) -> None:
        self.world.note(f"{self.name} got {got.status} ours={got.ours} to {got.ask.tag!r}: {got.body[:8]!r}… {len(got.body)}")
        check(self.world, got)

    # asking

    def say(self) -> bool:
        """Some more of what is asked."""
        if self.cut or self.sock.reset:
            return False
        if self.hearing.tunnel is not None:
            return self._say_in_tunnel()
        if self.hasty and self.place == len(self.asks):
            self.leave(False)
            return True
        if not self._may_ask() or self._must_wait():
            return False
        ask = self.asks[self.place]
        if not self.offset:
            self.hearing.waits = ask.expect and self.world.draws.chance(50)
        rest = ask.raw[self.offset : ask.head if self.hearing.waits and self.offset < ask.head else None]
        piece = rest[: self.world.draws.part(len(rest))]
        ask.sent += not self.offset
        self.offset += len(piece)
        if self.offset == len(ask.raw):
            self.place, self.offset = self.place + 1, 0
            piece += self._ahead()
        self.world.note(f"{self.name} says {piece[:60]!r} {len(piece)}")
        self.sock.say(piece)
        return True

    def _may_ask(self) -> bool:
        if self.place == len(self.asks) or (self.place and self.asks[self.place - 1].upgrade):
            return False
        return bool(self.offset) or self.place < self.hearing.answered + self.depth

    def _must_wait(self) -> bool:
        return self.hearing.waits and self.offset == self.asks[self.place].head

    def _ahead(self) -> bytes:
        """Whole requests behind this one, in the same piece."""
        more = b""
        while self.depth > 1 and self._may_ask() and not self.asks[self.place].expect and self.world.draws.chance(50):
            more += self.asks[self.place].raw
            self.asks[self.place].sent += 1
            self.place += 1
        return more

    def _say_in_tunnel(self) -> bool:
        if self.to_tunnel is None:
            tag = self.got[-1].ask.tag
            self.to_tunnel = self.world.tunnels[tag] = b"<%b>" % tag * self.world.draws.size(1000)
        if not self.to_tunnel:
            self.cut = "fin"
            self.sock.fin = True
            return True
        size = self.world.draws.part(len(self.to_tunnel))
        self.sock.say(self.to_tunnel[:size])
        self.to_tunnel = self.to_tunnel[size:]
        return True

    def leave(self, reset: bool, early: bool = True) -> None:
        """Go away, whatever is under way; with a FIN it reads on. `early`: it does not wait for its answers."""
        if self.cut:
            return
        self.world.note(f"{self.name} leaves, reset {reset}")
        self.left = early
        self.tidy = not self.offset and self.hearing.tunnel is None
        self.cut = "reset" if reset else "fin"
        if reset:
            self.sock.end(True)
            self.sock.outbox.clear()
        else:
            self.sock.fin = True

    # hearing

    def hear(self) -> bool:
        """Read some of what came, or the end."""
        outbox = self.sock.outbox
        if outbox:
            size = self.world.draws.part(len(outbox))
            self.world.note(f"{self.name} hears {bytes(outbox[:40])!r} {size}")
            data = bytes(outbox[:size])
            del outbox[:size]
            self.hearing.receive(data)
            return True
        if not self.sock.over:
            return False
        self.world.note(f"{self.name} hears the end, reset {self.sock.was_reset}")
        self.stopped = True
        self.hearing.end(self.sock.was_reset)
        self.cut = self.cut or "fin"
        self.sock.fin = True
        return True
