"""Defects to plant: each removes one check of the data plane, or of what routers agree on. A test that
does not fail on one of these proves nothing.

`tests` are the arguments of pytest that should catch it, fastest first; `old` stands exactly once in the file.
"""

from __future__ import annotations

from dataclasses import dataclass

REQUESTS = "tests/unit/router/test_http1_requests.py"
ANSWERS = "tests/unit/router/test_http1_responses_bodies.py"
WIRE = "tests/unit/router/test_wire_properties.py"
BROKEN = "tests/unit/router/test_wire_faults.py"
SEEDS = "tests/unit/router/test_fuzz_target.py"
CORE = "tests/unit/router/test_exchange.py"
GATE = "tests/unit/router/test_gate.py"
GATES = "tests/unit/router/test_gate_properties.py"
BALANCE = "tests/unit/router/test_balance.py"
HOSTILE = "tests/integration/hostile/test_hostile_requests.py"
HOSTILE_ANSWERS = "tests/integration/hostile/test_hostile_answers.py"
CLIENTS = "tests/integration/router/test_clients_connections.py"
COLD = "tests/integration/router/test_cold_path.py"
WARM = "tests/integration/router/test_warm_path.py"
FUNCTIONS = "tests/integration/router/test_faults_of_functions.py"
FAULTS = "tests/integration/faults"
SLOTS = "tests/unit/router/test_slots.py"
LIVES = "tests/integration/workers/test_workers_lives.py"
PLANE = "tests/contract/test_plane.py"
STOCK = "tests/unit/router/test_stocktaking.py"
# where a survivor is looked for
WIDE = ("tests/unit/router", "tests/integration/hostile", FAULTS, "tests/integration/router", "tests/integration/workers", PLANE)


@dataclass(frozen=True, slots=True)
class Defect:
    """One patch: in `file`, `old` becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


FIELDS = "router/http1/fields.py"
REQUEST = "router/http1/request.py"
BODY = "router/http1/body.py"
RESPONSE = "router/http1/response.py"
CLIENT = "router/wire/client.py"
UPSTREAM = "router/wire/upstream.py"
EXCHANGE = "router/exchange.py"
ATTEMPT = "router/attempt.py"

HTTP1 = (
    Defect("a second Content-Length", FIELDS, "    if len(lengths) > 1:\n", "    if False:\n", (REQUESTS,)),
    Defect(
        "Content-Length beside Transfer-Encoding",
        FIELDS,
        '        if lengths:\n            raise Malformed("Content-Length together',
        '        if False:\n            raise Malformed("Content-Length together',
        (REQUESTS,),
    ),
    Defect(
        "Transfer-Encoding in HTTP/1.0",
        FIELDS,
        '        if minor == b"0":\n            raise Malformed("Transfer-Encoding in',
        '        if False:\n            raise Malformed("Transfer-Encoding in',
        (REQUESTS,),
    ),
    Defect(
        "codings beside chunked", FIELDS, 'codings[0].lower() != b"chunked"', 'b"chunked" not in codings[0].lower()', (REQUESTS,)
    ),
    Defect("Connection that names framing", FIELDS, "    if named & _UNTOUCHABLE:\n", "    if False:\n", (REQUESTS,)),
    Defect("fields named by Connection", FIELDS, " and lower not in named and", " and", (REQUESTS,)),
    Defect("framing spelt with underscores", FIELDS, ' and lower.replace(b"_", b"-") not in _REWRITTEN', "", (REQUESTS,)),
    Defect("a second Host", FIELDS, "    if len(values) != 1:\n", "    if not values:\n", (REQUESTS,)),
    Defect("a malformed Host", FIELDS, "    if grammar.match_host(values[0]) is None:\n", "    if False:\n", (REQUESTS,)),
    Defect("too many fields", FIELDS, '    if block.count(b"\\n") > sender.limits.fields:\n', "    if False:\n", (REQUESTS,)),
    Defect("too many fields behind known ones", FIELDS, " and len(block) < prefix.longest", "", (REQUESTS,)),
    Defect(
        "a second Host behind known fields",
        "router/http1/prefix.py",
        "        if not ((a is None or g is None) and (b",
        "        if not ((b",
        (REQUESTS,),
    ),
    Defect(
        "an authority that is not Host",
        REQUEST,
        "    if _authority(authority) != _authority(fields.host):\n",
        "    if False:\n",
        (REQUESTS,),
    ),
    Defect("a lowercase method", REQUEST, "    if _match_method(method) is None:\n", "    if False:\n", (REQUESTS,)),
    Defect("CONNECT", REQUEST, '    if method == b"CONNECT":\n', "    if False:\n", (SEEDS, HOSTILE)),
    Defect("a head without end", REQUEST, "    if len(data) > limits.head:\n", "    if False:\n", (REQUESTS, WIRE)),
    Defect(
        "a bare LF in a head that goes on",
        REQUEST,
        "    if grammar.find_bare_lf(data) is not None:\n",
        "    if False:\n",
        (REQUESTS,),
    ),
    Defect(
        "a chunk that goes on beyond its size",
        BODY,
        "        if view[start] != CRLF[2 - left]:\n",
        "        if False:\n",
        (ANSWERS,),
    ),
    Defect("a hex-prefixed chunk size", BODY, 'rb"([0-9a-fA-F]{1,15})', 'rb"(?:0x)?([0-9a-fA-F]{1,15})', (ANSWERS,)),
    Defect(
        "a chunk's line without end",
        BODY,
        "        if len(self.line) > (_LINE_LIMIT",
        "        if False and len(self.line) > (_LINE_LIMIT",
        (WIRE,),
    ),
    Defect(
        "framing in trailers",
        BODY,
        '            if name.lower().replace(b"_", b"-") not in grammar.NEVER_TRAILING\n',
        "",
        (ANSWERS,),
    ),
    Defect(
        "malformed trailers", BODY, "        if grammar.match_block(block) is None:\n", "        if False:\n", (ANSWERS, HOSTILE)
    ),
    Defect(
        "an answer with both framings",
        RESPONSE,
        '        if lengths:\n            raise BadUpstream("The function answered with Content-Length together',
        '        if False:\n            raise BadUpstream("The function answered with Content-Length together',
        (ANSWERS,),
    ),
    Defect(
        "an answer with two lengths", RESPONSE, "    if len(lengths) > 1 or not lengths[0]", "    if not lengths[0]", (ANSWERS,)
    ),
    Defect(
        "Content-Length in a 204",
        RESPONSE,
        "    if status < 200 or status == 204:\n",
        "    if status < 200:\n",
        (ANSWERS, HOSTILE_ANSWERS),
    ),
)

CORE_PARTS = (
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
        "        if self.whole:\n            up.release()",
        "        if up:\n            up.release()",
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

WIRES = (
    Defect(
        "a FIN inside a request",
        CLIENT,
        "        elif state == FULL and self.exchange.client_closing():\n",
        "        elif state and self.exchange.client_closing():\n",
        (FAULTS, FUNCTIONS),
    ),
    Defect(
        "the last bytes of an answer behind a FIN",
        CLIENT,
        "        elif self.out and self.exchange.state == IDLE:",
        "        elif False:",
        (WIRE,),
    ),
    Defect(
        "trailers of the request before",
        CLIENT,
        "        exchange.trailers = reader.trailers ",
        "        exchange.trailers = reader.trailers or exchange.trailers ",
        (WIRE,),
    ),
    Defect(
        "any number of empty lines before a request",
        CLIENT,
        "        self.buf = data\n        return False",
        '        self.buf = data.removeprefix(b"\\r\\n")\n        return False',
        (WIRE,),
    ),
    Defect(
        "pipelined bytes without bound",
        CLIENT,
        "        if len(self.buf) > self.sender.limits.head:\n",
        "        if False:\n",
        (BROKEN,),
    ),
    Defect(
        "a broken-off answer that looks whole",
        CLIENT,
        "            if self.state != TUNNEL:\n                self.sock.setsockopt",
        "            if False:\n                self.sock.setsockopt",
        (FUNCTIONS, FAULTS),
    ),
    Defect(
        "a short answer passed on as whole",
        UPSTREAM,
        '        elif self.state != TUNNEL:\n            self._lost("reset")',
        '        elif self.state != TUNNEL:\n            exchange.response_end(b"")',
        (FUNCTIONS, FAULTS),
    ),
    Defect(
        "bytes behind an answer",
        UPSTREAM,
        "        self.keep = self.keep and len(data) <= length\n",
        "",
        (FUNCTIONS, HOSTILE_ANSWERS),
    ),
    Defect("interim answers without end", UPSTREAM, "        if self.interim > MOST_INTERIM:\n", "        if False:\n", (WIRE,)),
    Defect(
        "an answer's head beyond the limit",
        UPSTREAM,
        "            if len(block) > self.pool.limits.head:\n",
        "            if False:\n",
        (WIRE,),
    ),
    Defect(
        "a rewritten answer's head that is as long as the one that came",
        UPSTREAM,
        "VIEW[:n] if response.unchanged else",
        "VIEW[:n] if len(response.wire) == start else",
        (HOSTILE_ANSWERS,),
    ),
    Defect("the last second of an idle connection", "router/wire/pool.py", "seconds - 1.0", "seconds + 60.0", (FUNCTIONS,)),
    Defect(
        "a promise of no time taken for none",
        RESPONSE,
        "return max(1, int(timeout)) if timeout else 0",
        "return int(timeout) if timeout else 0",
        (BROKEN,),
    ),
    Defect("what follows a large body, sent as a part of it", CLIENT, "stop = min(start + length, end)", "stop = end", (WIRE,)),
    Defect(
        "what follows a large body, lost",
        CLIENT,
        "            self.buf = view[stop:end].tobytes()\n            self.exchange",
        '            self.buf = b""\n            self.exchange',
        (WIRE,),
    ),
    Defect("what an earlier read left, taken for a request", CLIENT, "if start and start <= end and", "if start and", (BROKEN,)),
    Defect(
        "what an earlier read left, taken for an answer",
        UPSTREAM,
        "            if n != response.size or exchange",
        "            if not response.status or exchange",
        (BROKEN,),
    ),
    Defect(
        "a listener that spins without descriptors",
        "router/wire/listener.py",
        "        self.clients.poller.change(self.sock.fileno(), 0)\n",
        "",
        (CLIENTS,),
    ),
)

LEDGER = "tests/unit/router_kube/test_ledger_of_slots.py"
ROUNDS = "tests/unit/router_kube/test_rounds_of_routers.py"
ROSTER = "tests/unit/router_kube/test_roster_of_routers.py"

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

SHARED = (
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

DEFECTS = (*HTTP1, *CORE_PARTS, *WIRES, *ROUTERS, *SHARED)
