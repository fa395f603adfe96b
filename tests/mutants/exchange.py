"""Defects in what becomes of a request: the exchange, its attempts, the gate and the choice of an endpoint."""

from __future__ import annotations

from tests.mutants.defect import (
    ATTEMPT,
    BALANCE,
    CLIENTS,
    COLD,
    CORE,
    EXCHANGE,
    FAULTS,
    FUNCTIONS,
    GATE,
    GATES,
    SEEDS,
    WARM,
    Defect,
)

EXCHANGES = (
    Defect(
        "a POST sent twice",
        ATTEMPT,
        'IDEMPOTENT: Final = frozenset((b"GET",',
        'IDEMPOTENT: Final = frozenset((b"POST", b"GET",',
        (CORE,),
    ),
    Defect(
        "a request sent twice after half an answer",
        EXCHANGE,
        "        elif not answered and self.held",
        "        elif self.held",
        (CORE,),
    ),
    Defect(
        "half a request sent twice",
        ATTEMPT,
        "            self.whole\n            and self.tries",
        "            self.tries",
        (CORE,),
    ),
    Defect(
        "a storm of second sends",
        ATTEMPT,
        "            and budget.spend(self.revision.gate.arrived, now)\n        )",
        "        )",
        (CORE,),
    ),
    Defect(
        "a 101 that nobody asked for",
        EXCHANGE,
        "        if not self.upgrade or response.upgrade != self.upgrade or self",
        "        if self",
        (WARM, SEEDS),
    ),
    Defect(
        "a connection with half a request, used again",
        EXCHANGE,
        "        if self.whole:\n            up.release(now)",
        "        if up:\n            up.release(now)",
        (WARM, FAULTS),
    ),
    Defect(
        "a body beyond the limit",
        EXCHANGE,
        "        if limit and self.received > limit and self.state != TUNNEL:\n",
        "        if False:\n",
        (CLIENTS,),
    ),
    Defect(
        "a waiter that hung up",
        EXCHANGE,
        "        if self.state in (WAITING, BACKOFF) or self.live",
        "        if self.live",
        (COLD,),
    ),
    Defect(
        "a reset waiter that keeps its place",
        EXCHANGE,
        "            self.revision.gate.abandon(self, now)\n            self.row",
        "            self.row",
        (FAULTS,),
    ),
    Defect(
        "a silent function",
        EXCHANGE,
        "        elif now >= self.deadline and state >= CONNECTING:\n",
        "        elif False:\n",
        (FUNCTIONS, CORE),
    ),
    Defect(
        "a waiter past its deadline",
        "router/gate.py",
        "            if place.deadline > now:\n",
        "            if place:\n",
        (GATE, GATES),
    ),
    Defect("bytes of waiters that left", "router/gate.py", "        self.room.held -= place.held\n", "", (GATE, GATES)),
    Defect(
        "one more than the slots",
        "router/gate.py",
        "        while self.busy < self.slots and",
        "        while self.busy <= self.slots and",
        (GATE, GATES),
    ),
    Defect(
        "a queue without bound",
        "router/gate.py",
        "        if self.most and self.waiting >= self.most:\n",
        "        if False:\n",
        (GATE,),
    ),
    Defect(
        "an endpoint's hard limit",
        "router/balance.py",
        "            if one.in_flight < one.limit:\n",
        "            if one:\n",
        (BALANCE,),
    ),
    Defect(
        "all endpoints under suspicion",
        "router/balance.py",
        "if upstream.suspect_until <= now] or untried",
        "if upstream.suspect_until <= now]",
        (BALANCE,),
    ),
    Defect(
        "the same endpoint again", "router/balance.py", "if upstream not in avoid] or free", "if upstream] or free", (BALANCE,)
    ),
)
