"""Defects in what workers lend each other, and in what routers agree on."""

from __future__ import annotations

from tests.mutants.defect import LEDGER, LIVES, PLANE, ROSTER, ROUNDS, SLOTS, STOCK, Defect

ROUTERS = (
    Defect(
        "slots that move before all have said what they have",
        "router/kube/peers/ledger.py",
        "    if not young:\n        slots.moves(now)",
        "    slots.moves(now)",
        (LEDGER,),
    ),
    Defect(
        "a dead member that keeps its slots",
        "router/kube/peers/ledger.py",
        "or young or not gone(one.name)",
        "or True",
        (LEDGER,),
    ),
    Defect(
        "a round that is agreed over somebody's head",
        "router/kube/peers/rounds.py",
        " or not set(members) <= {known.asker, *known.empty}:",
        ":",
        (ROUNDS,),
    ),
    Defect(
        "a refusal that overrules what is agreed",
        "router/kube/peers/rounds.py",
        'state="refused") if known.state == "open" else None',
        'state="refused")',
        (ROUNDS,),
    ),
    Defect(
        "a board that began anew and is believed at once",
        "router/kube/peers/roster.py",
        "self.expected if beat.age < self.terms.lease else frozenset()",
        "frozenset()",
        (ROSTER,),
    ),
    Defect(
        "a member taken for dead by one look",
        "router/kube/peers/roster.py",
        "now - self._missing.setdefault(member, now) >= self.terms.missing",
        "self._missing.setdefault(member, now) <= now",
        (ROSTER,),
    ),
)

WORKERS = (
    Defect(
        "a slot counted as given back before its holder said so",
        "router/slots.py",
        "self.held[address] = max(limit, self.held.get(address, 0))",
        "self.held[address] = limit",
        (SLOTS,),
    ),
    Defect(
        "an old answer taken for the new one",
        "router/slots.py",
        "if need.number != self.number:",
        "if False:",
        (SLOTS,),
    ),
    Defect(
        "slots lent before everybody has said what he has",
        "router/slots.py",
        "if not all(holder.known for holder in self._holders.values()):",
        "if False:",
        (SLOTS,),
    ),
    Defect(
        "a slot that goes to and fro for each request",
        "router/slots.py",
        "- (self._favour if holder.size else 0.0)",
        "- 0.0",
        (SLOTS,),
    ),
    Defect(
        "requests in flight that are above the limit and counted as slots",
        "router/slots.py",
        "filled = min(count, room.get(address, 0))",
        "filled = count",
        (SLOTS,),
    ),
    Defect(
        "a worker that keeps to itself that somebody waits",
        "router/workers/loans.py",
        "if loan is None or loan.watch or not loan.said.waiting:",
        "if loan is not None and loan.watch:",
        (PLANE,),
    ),
    Defect(
        "a dead worker whose gauges linger",
        "router/metrics.py",
        "_sum(self._past.get(label, _NOTHING), _without_gauges(cells))",
        "_sum(self._past.get(label, _NOTHING), cells)",
        (LIVES,),
    ),
    Defect(
        "a question that a dead worker never answers",
        "router/workers/stock.py",
        "            self._heard(number, question, worker)\n\n    def _ask",
        "            pass\n\n    def _ask",
        (STOCK,),
    ),
    Defect(
        "a new worker without the table",
        "router/workers/plane.py",
        "for route in self._routes.values()]",
        "for route in ()]",
        (LIVES,),
    ),
)
