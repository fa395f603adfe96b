"""Defects in connections: to clients, to endpoints, and in the pool and the listeners between."""

from __future__ import annotations

from tests.mutants.defect import BROKEN, CLIENT, CLIENTS, FAULTS, FUNCTIONS, HOSTILE_ANSWERS, RESPONSE, UPSTREAM, WIRE, Defect

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
