"""A defect to plant, the files that defects stand in, and the tests that should catch them."""

from __future__ import annotations

from dataclasses import dataclass

REQUESTS = "tests/unit/router/test_http1_requests.py"
ANSWERS = "tests/unit/router/test_http1_responses_bodies.py"
TARGETS = "tests/unit/router/test_http1_targets.py"
VIA = "tests/unit/router/test_http1_via.py"
DATES = "tests/unit/router/test_wire_date.py"
WIRE = "tests/unit/router/test_wire_properties.py"
BROKEN = "tests/unit/router/test_wire_faults.py"
MEMORY = "tests/unit/router/test_wire_memory.py"
PLACES = "tests/unit/router/test_wire_places.py"
BOUND = "tests/integration/router/test_clients_bound.py"
TURNS = "tests/unit/router/test_wire_turns.py"
REPEATS = "tests/unit/router/test_http1_repeats.py"
SEEDS = "tests/unit/router/test_fuzz_target.py"
CORE = "tests/unit/router/test_exchange.py"
ATTEMPTS = "tests/unit/router/test_attempts.py"
GATE = "tests/unit/router/test_gate.py"
GATES = "tests/unit/router/test_gate_properties.py"
ROOMS = "tests/unit/router/test_rooms.py"
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
REACH = "tests/unit/router_kube/test_kube_reach.py"
LEDGER = "tests/unit/router_kube/test_ledger_of_slots.py"
ROUNDS = "tests/unit/router_kube/test_rounds_of_routers.py"
ROSTER = "tests/unit/router_kube/test_roster_of_routers.py"
# where a survivor is looked for
WIDE = ("tests/unit/router", "tests/integration/hostile", FAULTS, "tests/integration/router", "tests/integration/workers", PLANE)

FIELDS = "router/http1/fields.py"
REQUEST = "router/http1/request.py"
HOPS = "router/http1/hops.py"
TARGET = "router/http1/target.py"
USUAL = "router/http1/usual.py"
BODY = "router/http1/body.py"
RESPONSE = "router/http1/response.py"
CLIENT = "router/wire/client.py"
LISTENER = "router/wire/listener.py"
PLACE = "router/wire/places.py"
CLIENT_ANSWERS = "router/wire/client_answers.py"
UPSTREAM = "router/wire/upstream.py"
UPSOCKET = "router/wire/upstream_socket.py"
EXCHANGE = "router/exchange.py"
ATTEMPT = "router/attempt.py"


@dataclass(frozen=True, slots=True)
class Defect:
    """One patch: in `file`, `old` becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
