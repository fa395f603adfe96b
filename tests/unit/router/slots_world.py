"""Workers that share the slots of a revision, in virtual time, with messages under way both ways as long as one likes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from router.slots import Loan, Need, Slots


class Worker:
    """What router.workers.loans and the gate make of a worker."""

    def __init__(self, now: float) -> None:
        self.limits: Mapping[str, int] = {}
        self.in_flight: dict[str, int] = {}
        self.queue: deque[float] = deque()
        self.number = 0
        self.watch = False
        self.said = Need()
        self.inbox: deque[Loan] = deque()
        self.outbox: deque[Need] = deque()
        self.began = now

    def arrive(self, now: float) -> None:
        self.queue.append(now)
        self._fill()
        if self.queue and (self.watch or not self.said.waiting):
            self.tell()

    def finish(self, address: str) -> None:
        self.in_flight[address] -= 1
        self._fill()
        if self.watch:
            self.tell()

    def take(self) -> None:
        """The next loan arrives."""
        self.number, self.limits, self.watch = self.inbox.popleft()
        self._fill()
        self.tell()

    def tell(self) -> None:
        need = Need(
            self.number, {a: n for a, n in self.in_flight.items() if n}, len(self.queue), self.queue[0] if self.queue else 0.0
        )
        if need != self.said:
            self.said = need
            self.outbox.append(need)

    def _fill(self) -> None:
        while self.queue:
            free = [a for a, limit in self.limits.items() if self.in_flight.get(a, 0) < limit]
            if not free:
                return
            self.in_flight[free[0]] = self.in_flight.get(free[0], 0) + 1
            self.queue.popleft()


class World:
    """The control process's Slots, and its workers by name."""

    def __init__(self, names: str, limits: Mapping[str, int]) -> None:
        self.now = 1000.0
        self.workers = {name: Worker(self.now) for name in names}
        self.slots: Slots[str] = Slots(names)
        self.slots.limit(limits)
        self.limits = dict(limits)
        self.moved = 0

    def moves(self) -> None:
        for name, loan in self.slots.moves(self.now):
            self.workers[name].inbox.append(loan)
            self.moved += 1

    def deliver(self, name: str) -> bool:
        """One message of a worker, in whichever direction there is one."""
        worker = self.workers[name]
        if worker.outbox:
            self.slots.say(name, worker.outbox.popleft())
            self.moves()
            return True
        if worker.inbox:
            worker.take()
            return True
        return False

    def settle(self) -> None:
        """Until nothing is under way any more; a worker's tick comes once, too."""
        for _ in range(2):
            for worker in self.workers.values():
                worker.tell()
            steps = 0
            while sum(self.deliver(name) for name in list(self.workers)):
                steps += 1
                assert steps < 1000, "it never comes to rest"

    def kill(self, name: str) -> None:
        del self.workers[name]
        self.slots.leave(name)
        self.moves()

    def limit(self, limits: Mapping[str, int]) -> None:
        self.limits = dict(limits)
        self.slots.limit(limits)
        self.moves()

    def in_flight(self, address: str) -> int:
        return sum(worker.in_flight.get(address, 0) for worker in self.workers.values())

    def waiting(self) -> int:
        return sum(len(worker.queue) for worker in self.workers.values())
