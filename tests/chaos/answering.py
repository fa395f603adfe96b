"""The far ends of the router's connections to a function: each reads requests with h11 and answers, or does worse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.chaos.asking import Answer, Ask, draw_answer
from tests.chaos.network import Wire
from tests.fuzz.functions import Message, Reader

if TYPE_CHECKING:
    from tests.chaos.world import World

EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n66666666"
GARBAGE = (
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
)
FOREVER = 1 << 60
_match_tag = re.compile(rb"[A-Z]+ /(?:fn/)?([a-z0-9]+)[ ?]").match


class Far:
    """One connection."""

    def __init__(self, world: World, sock: Wire, address: str) -> None:
        self.world = world
        self.name = f"function {len(world.fars)} at {address}"
        self.sock = sock
        self.reader = Reader()
        self.answer: Answer | None = None  # the present one
        self.saying = b""  # what is left of it
        self.breaks = FOREVER  # bytes of it that are said before the connection breaks
        self.asked = b""  # the tag of the last request that it answered
        self.raw = b""  # what came since the last whole request
        self.ended = False  # we closed it
        self.taken = 0  # bytes that the router's kernel took until then
        self.early = False  # … to a request that is still coming
        self.continued = False  # it said 100 to the present request
        self.black = False  # it never takes the connection

    @property
    def over(self) -> bool:
        """Nobody will hear of it any more."""
        return self.ended and self.sock.closed

    @property
    def idle(self) -> bool:
        """It waits for a request."""
        return self.answer is None and not self.ended and not self.sock.connecting

    def act(self) -> bool:
        """One step. False: there was nothing to do."""
        sock = self.sock
        if sock.connecting:
            return self._accept()
        if self.ended:
            sock.reset = sock.reset or (sock.slipped and not sock.closed and sock.sent > self.taken)
            return False
        return (bool(self.breaks) and self.hear()) or self.say() or self._finish()

    def _accept(self) -> bool:
        world = self.world
        if self.black:
            return False
        self.sock.connecting = False
        if world.may("refused", 50):
            self.sock.error = 111
            self.ended = world.unreachable = True
        return True

    def let_down(self) -> set[bytes]:
        """The tag of what was sent here after the end, when nobody read it any more; b"" stands for anybody's."""
        return {_tag(self.sock.vain)} if self.sock.vain else set()

    # reading

    def hear(self) -> bool:
        """Read some of what came."""
        outbox = self.sock.outbox
        if not outbox:
            return False
        size = self.world.draws.part(len(outbox))
        data = bytes(outbox[:size])
        del outbox[:size]
        self._free()
        answer = self.answer
        if answer is not None and answer.status == 101:
            heard = self.world.heard[answer.ask.tag] = self.world.heard.get(answer.ask.tag, b"") + data
            assert self.world.tunnels[answer.ask.tag].startswith(heard), "a tunnel brought what no client said"
            return True
        assert answer is None or self.early, f"{self.name}: behind a request without an answer: {data[:50]!r}"
        self._read(data)
        return True

    def _read(self, data: bytes) -> None:
        reader = self.reader
        self.raw += data
        reader.receive(data)
        assert not reader.violation, f"the function got what h11 refuses: {reader.violation}"
        for message in reader.messages:
            self._whole(message)
        reader.messages.clear()
        if reader.message is not None and self.answer is None:
            self._begun(self._known(reader.message))

    def _whole(self, message: Message) -> None:
        ask = self._known(message)
        assert message.body == ask.body, "another body"
        assert [value for _, value in message.trailers] == ask.trailers, "other trailers"
        self.raw = b""
        self.continued = False
        if self.early:  # and answered already
            self.early = False
            self._free()
        else:
            assert self.answer is None, "two requests at once"
            self._decide(ask)

    def _known(self, message: Message) -> Ask:
        ask = self.world.asks[_tag(message.method + b" " + message.target + b" ")]
        assert message.method == ask.method, "another method"
        return ask

    def _begun(self, ask: Ask) -> None:
        """Its body is still coming."""
        if self.world.may("early", 30):
            self.early = True
            self.world.early.add(ask.tag)
            self._decide(ask)
        elif ask.expect and not self.continued and self.world.draws.chance(50):
            self.continued = True
            self.saying = b"HTTP/1.1 100 Continue\r\n\r\n"

    def _decide(self, ask: Ask) -> None:
        """The answer, and what is amiss with it."""
        world = self.world
        world.seen[ask.tag] = world.seen.get(ask.tag, 0) + 1
        self.asked = ask.tag
        self.answer = answer = draw_answer(world.draws, 10_000_000 + len(world.answers), ask)
        world.answers[answer.number] = answer
        self.saying += answer.raw
        if world.may("silent", 20):
            world.silent = True
            self._spoil(b"")
        elif world.may("broken", 25):
            self.breaks = world.draws.below(len(self.saying) + 1)
            if self.breaks < len(self.saying):
                self._spoil(self.saying)
        elif world.may("garbage", 20):
            self._spoil(world.draws.pick(GARBAGE))
        elif world.may("extra", 25) and not answer.closing and answer.status != 101:
            self.saying += EVIL
            answer.keep = False

    def _spoil(self, saying: bytes) -> None:
        assert self.answer is not None
        self.saying = saying
        self.answer.whole = self.answer.keep = False
        self.world.harmed.add(self.asked)

    # writing

    def say(self) -> bool:
        """Some of the answer."""
        if not self.breaks:
            self.end(self.world.draws.chance(50))
            return True
        if not self.saying:
            return False
        size = min(self.world.draws.part(len(self.saying)), self.breaks)
        if self.saying.endswith(EVIL) and size >= len(self.saying) - len(EVIL):
            size = len(self.saying)  # alone they could be the answer to what is asked meanwhile
        self._send(self.saying[:size])
        self.breaks -= size if self.breaks < FOREVER else 0
        self.saying = self.saying[size:]
        return True

    def _send(self, data: bytes) -> None:
        self.world.note(f"{self.name} says {data[:60]!r} {len(data)}")
        self.sock.say(data)

    def _finish(self) -> bool:
        """All that was to be said is said."""
        answer = self.answer
        if answer is not None and answer.status == 101 and (answer.tunnel or not self.sock.fin):
            self._tunnel(answer)
        elif self.sock.over or (answer is not None and self._hangs_up(answer)):
            self.end(False)
        else:
            return self._free()
        return True

    def _hangs_up(self, answer: Answer) -> bool:
        return answer.whole and (answer.closing or not (answer.keep or answer.status == 101)) and self.breaks == FOREVER

    def _free(self) -> bool:
        """Ready for the next request, if all of the last answer is out."""
        answer = self.answer
        if answer is None or not answer.keep or self.saying or self.breaks < FOREVER or self.early:
            return False
        self.answer = None
        return True

    def _tunnel(self, answer: Answer) -> None:
        """What it says behind a 101, and then its end; it reads on."""
        size = self.world.draws.part(len(answer.tunnel))
        piece, answer.tunnel = answer.tunnel[:size], answer.tunnel[size:]
        if piece:
            self.world.spoken[answer.ask.tag] = self.world.spoken.get(answer.ask.tag, b"") + piece
            self._send(piece)
        else:
            self.sock.fin = True

    def end(self, reset: bool) -> None:
        """Close the connection, whatever is under way."""
        self.world.note(f"{self.name} ends, reset {reset}")
        sock, answer = self.sock, self.answer
        reset = reset or bool(sock.outbox)
        if (self.raw or sock.outbox) and not (answer is not None and answer.status == 101):
            self.world.harmed.add(_tag(self.raw + bytes(sock.outbox)))
        if answer is not None and self.saying:
            self._spoil(b"")
        if reset and sock.inbox:  # a RST may destroy what is on its way
            self.world.harmed.add(self.asked)
        self.ended = True
        self.taken = sock.sent
        sock.end(reset)


def _tag(raw: bytes) -> bytes:
    found = _match_tag(raw)
    return found[1] if found else b""
