"""A worker's part in hard limits that several workers share: it takes what it is lent, and tells what it has and wants.

Told are: the first that has to wait, everything while others want the same slots (`watch`), and each loan's taking over. The
counts of a batch of events go out together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from router import slots
from router.live import Live, Revision
from router.model import RouteKey
from router.switchboard import Switchboard
from router.workers.messages import Lend, Need

Name = tuple[RouteKey, str]  # of a revision


class _Loan:
    """What is known between us of one revision."""

    __slots__ = ("said", "watch")

    def __init__(self) -> None:
        self.said = Need(RouteKey("", "", ""), "", 0, {}, 0, 0.0)
        self.watch = False


class Loans:
    """`send` takes a Need; `soon` calls a function after the present batch of events."""

    def __init__(self, board: Switchboard, send: Callable[[Need], None], soon: Callable[[Callable[[], None]], object]) -> None:
        self._board = board
        self._send = send
        self._soon = soon
        self._loans: dict[Name, _Loan] = {}
        self._active: dict[Name, None] = {}  # those of which more was said last than that there is nothing
        self._noted: dict[Name, None] = {}
        board.queued = self._queued

    @property
    def restless(self) -> bool:
        """Somebody waits or is watched: `tick` should come often."""
        return any(self._loans[name].watch or self._loans[name].said.waiting for name in self._active)

    def lend(self, order: Lend) -> None:
        """Take over new limits; what they mean here is told at once."""
        name = (order.key, order.revision)
        loan = self._loans.setdefault(name, _Loan())
        loan.watch = order.watch
        self._board.grant(order.key, order.revision, order.limits)
        revision = self._revision(name)
        if revision is not None:
            revision.noted = partial(self._note, name) if order.watch else None
        self._tell(name, loan, order.number)

    def look(self, live: Live[Any]) -> None:
        """The route was put: tell what is in flight where it has a limit, which it may not have had before."""
        for revision in (live.revisions or {}).values() if live.route.settings.concurrency else ():
            if revision.gate.present:
                self._note((live.route.key, revision.name))

    def tick(self) -> None:
        """Tell what was not told because nobody else waited."""
        for name in list(self._active):
            loan = self._loans[name]
            self._tell(name, loan, loan.said.number)

    def _queued(self, live: Live[Any], revision: Revision[Any]) -> None:
        if live.route.settings.concurrency:
            name = (live.route.key, revision.name)
            loan = self._loans.get(name)
            if loan is None or loan.watch or not loan.said.waiting:
                self._note(name)

    def _note(self, name: Name) -> None:
        if not self._noted:
            self._soon(self._flush)
        self._noted[name] = None

    def _flush(self) -> None:
        noted, self._noted = self._noted, {}
        for name in noted:
            loan = self._loans.setdefault(name, _Loan())
            self._tell(name, loan, loan.said.number)

    def _tell(self, name: Name, loan: _Loan, number: int) -> None:
        need = self._need(name, number)
        if need != loan.said:
            loan.said = need
            self._send(need)
        if loan.watch or need.waiting or need.in_flight:
            self._active[name] = None
        else:
            self._active.pop(name, None)
            if self._revision(name) is None:
                del self._loans[name]

    def _need(self, name: Name, number: int) -> Need:
        live = self._board.table.get(name[0])
        need = live.need(name[1], self._board.clock.now, number) if live is not None else slots.Need(number)
        return Need(*name, need.number, need.in_flight, need.waiting, need.oldest)

    def _revision(self, name: Name) -> Revision[Any] | None:
        live = self._board.table.get(name[0])
        return (live.revisions or {}).get(name[1]) if live is not None else None
