"""One run: clients, functions and the router's whole core between them, in virtual time, driven by choices; and what must hold.

A run has some faults and not others (swarm testing: Groce et al. 2012), so that what none of its faults excuses is a finding.
"""

from __future__ import annotations

from dataclasses import replace

from router.model import Backend, Endpoint, Route, RouteKey, Settings
from router.wire.listener import Times
from tests.chaos.answering import Far
from tests.chaos.asking import Answer, Ask
from tests.chaos.clients import Near
from tests.chaos.draws import Draws
from tests.chaos.network import Pool, Wire, turn
from tests.chaos.verdicts import CONDITIONS, counts_agree, judge, nothing_is_left
from tests.fuzz.memory import KEY, Memory

FAULTS = (
    *("refused", "black hole", "early", "silent", "broken", "garbage", "extra", "idle end"),  # of functions
    *("client fin", "client reset", "hostile", "time", "routes", "drain"),
)
OTHER = RouteKey("*", "default", "g")
TIMEOUT = 20.0  # seconds


class World:
    """The state of a run."""

    def __init__(self, draws: Draws, trace: list[str] | None = None) -> None:
        self.draws = draws
        self.trace = trace
        some = draws.below(4)  # of 4 runs one has no fault, and one has many
        self.faults = frozenset(
            (
                *(one for one in sorted(CONDITIONS) if draws.chance(40)),
                *(one for one in FAULTS if draws.chance((0, 10, 25, 50)[some])),
            )
        )
        self.peace = False
        self.memory = Memory(times=Times(linger=30.0))
        self.memory.pool = Pool(self.memory, self.fate)
        self.memory.board.connector = self.memory.pool
        self.asks: dict[bytes, Ask] = {}
        self.answers: dict[int, Answer] = {}
        self.given: set[int] = set()  # answers that a client has
        self.tunnels: dict[bytes, bytes] = {}  # what clients say in them …
        self.heard: dict[bytes, bytes] = {}  # … and functions hear
        self.spoken: dict[bytes, bytes] = {}  # what functions say in them
        self.seen: dict[bytes, int] = {}  # how often a function read a request
        self.harmed: set[bytes] = set()  # requests that a function let down
        self.early: set[bytes] = set()
        self.unreachable = self.silent = False
        self.fars: list[Far] = []
        self.nears: list[Near] = []
        self.ready = "cold" not in self.faults
        self.addresses = ("f:1", "f:2")[: 1 + draws.below(2)]
        self.limit = draws.pick((1, 2)) if "limit" in self.faults else 0
        self.put()
        self.memory.board.put(Route(OTHER, (Backend("r1", (Endpoint("g:1"),)),), Settings(timeout=TIMEOUT)))

    def put(self) -> None:
        """The function's route."""
        addresses = self.addresses if self.ready else ()
        draws, settings = self.draws, Settings(timeout=TIMEOUT, concurrency=self.limit)
        if "routes" in self.faults:
            settings = replace(
                settings,
                queue_limit=draws.pick((1000, 1, 3)),
                queue_bytes=draws.pick((1 << 26, 6000)),
                body_limit=draws.pick((0, 0, 4000)),
                client_abort=draws.pick(("", "fin")),
                sticky=draws.pick(("", "cookie:a")),
            )
        self.memory.board.put(Route(KEY, (Backend("r1", tuple(map(Endpoint, addresses))),), settings))

    # what happens

    def may(self, fault: str, percent: int) -> bool:
        """Does this fault happen now?"""
        return not self.peace and fault in self.faults and self.draws.chance(percent)

    def fate(self, address: str) -> Wire | int:
        """A connection that the router opens."""
        if self.may("refused", 20):
            self.unreachable = True
            return 111
        sock = Wire(self.draws, "rough" in self.faults)
        sock.connecting = self.draws.chance(50)
        if "slow" in self.faults:
            sock.room = self.draws.pick((1 << 62, 2000, 100))
        self.fars.append(Far(self, sock, address))
        if sock.connecting and self.may("black hole", 20):
            self.fars[-1].black = True
            self.unreachable = True
        return sock

    def note(self, what: str) -> None:
        """A line of the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.memory.poller.now:.3f} {what}")

    def play(self) -> None:
        """All of it."""
        draws = self.draws
        for _ in range(20 + draws.below(400)):
            self.step()
        self.rest()
        self.settle()
        for near in self.nears:
            judge(self, near)
        counts_agree(self)

    def step(self) -> None:
        """One thing happens."""
        draws = self.draws
        kind = draws.below(20)
        if kind < 11:
            self.peer()
        elif kind < 16:
            self.note("turn")
            turn(self.memory, draws, self.peer)
        elif kind < 17 and len(self.nears) < 6:
            self.nears.append(Near(self, len(self.nears)))
        elif kind < 18:
            self.wait()
        elif kind < 19:
            self.trouble()
            self.memory.present()
        elif not self.ready and draws.chance(30):
            self.ready = True
            self.note("ready")
            self.put()

    def wait(self) -> None:
        """Nobody does anything for a while."""
        seconds = self.draws.pick((0.001, 0.02, 0.25, 5.0, 20.0, 80.0) if "time" in self.faults else (0.001, 0.02, 0.25))
        if seconds < 1:
            self.tick(seconds)
            return
        self.draws.calm = True
        for _ in range(8):
            while self.memory.poller.serve():  # what came is read before it is late
                pass
            self.tick(seconds / 8)
        self.draws.calm = False

    def tick(self, seconds: float) -> None:
        """Time goes by."""
        memory = self.memory
        memory.poller.now += seconds
        memory.board.tick()
        memory.clients.sweep(memory.poller.now)
        memory.pool.sweep(memory.poller.now)
        memory.poller.send()

    def peer(self) -> None:
        """A client or a function does something."""
        peers: list[Near | Far] = [one for one in (*self.nears, *self.fars) if not one.over]
        if peers:
            self.draws.pick(peers).act()

    def trouble(self) -> None:
        """Somebody does what he need not."""
        draws = self.draws
        if self.may("idle end", 70):
            self.end_idle()
        if self.may("routes", 60):
            self.reroute()
        if self.may("drain", 10):
            self.memory.clients.draining = True
        for fault in ("client fin", "client reset"):
            if self.nears and self.may(fault, 50):
                draws.pick(self.nears).leave(fault == "client reset")
                for far in self.fars:  # just as it gets its answer
                    far.act()

    def end_idle(self) -> None:
        """An idle connection ends, just as it is wanted."""
        idle = [far for far in self.fars if far.idle]
        if idle:
            self.draws.pick(idle).end(self.draws.chance(30))
            for near in self.nears:
                near.say()

    def reroute(self) -> None:
        """Other endpoints, or none, or no function at all."""
        draws = self.draws
        self.addresses = tuple(one for one in ("f:1", "f:2", "f:3") if draws.chance(60))
        self.ready = bool(self.addresses)
        self.limit = draws.pick((0, 1, 2)) if self.limit else 0
        self.note(f"now at {self.addresses}, limit {self.limit}")
        if draws.chance(20):
            self.memory.board.remove(KEY)
            self.ready = False
        else:
            self.put()

    # how it ends

    def rest(self) -> None:
        """No more faults; everybody says and hears all there is, as long as anything moves within a time."""
        self.peace = self.draws.calm = True
        for one in (*self.nears, *self.fars):
            one.sock.room = Wire.room
        if not (self.ready and self.addresses):
            self.ready, self.addresses = True, ("f:1",)
            self.put()
        self.let_go_on(2 * TIMEOUT if self.silent or self.unreachable else 8.0)

    def let_go_on(self, seconds: float) -> None:
        """Until nothing has moved for so long."""
        still, rounds = 0.0, 0
        while still < seconds:
            moved = [one.act() for one in (*self.nears, *self.fars) if not one.over]
            moved.append(turn(self.memory, self.draws, lambda: None))
            if any(moved):
                rounds += 1
                assert rounds < 3000, "it does not come to rest"
            else:
                self.tick(0.25)
                still += 0.25
                for near in self.nears:
                    near.hearing.waits = False

    def settle(self) -> None:
        """All clients go, time goes by, and nothing may be left."""
        for near in self.nears:
            near.leave(False, early=False)
        self.let_go_on(1.0)
        for far in self.fars:
            if not far.ended and not far.sock.connecting:
                far.end(False)
        self.let_go_on(1.0)
        for _ in range(30):
            self.tick(10.0)
            self.let_go_on(0.25)
        nothing_is_left(self)
