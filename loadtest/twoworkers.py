"""Two workers share the one slot of a function: the load on one of them must have it all, and load on both must wait evenly.

    python -m loadtest.twoworkers [--seconds 10] [--service 0.01] [--share 0.7]

The bounds: with all load on one of two workers, goodput at least 90 % of what a single worker makes of the same load;
with load on both, p99 of the wait at most 1.5 times a single worker's, at a share of the single worker's peak (Poisson arrivals);
and the function itself never sees two requests at once.
"""

from __future__ import annotations

import argparse
import random
import socket
import sys
import time
from collections import Counter

from loadtest.arrivals import at_once, poisson
from loadtest.openloop import OpenLoop, get
from loadtest.outcomes import Outcome, goodput, latencies, percentile
from loadtest.owner import owners
from loadtest.stage import Stage, stage
from loadtest.verdict import Claim, table, verdict

CONNECTIONS = 16
PATIENCE = 10.0  # seconds to find connections of one worker
SEED = 1  # the same arrivals for both routers


def main(argv: list[str]) -> int:
    """Exit status 0 when every bound was kept, else 1."""
    args = _arguments().parse_args(argv)
    seconds = args.seconds
    with stage(args.service, 1, workers=1) as it:
        single = goodput(_saturate(it, spread(it, 1), seconds), 1.0, seconds)
        rate = args.share * single
        alone = _arrive(it, spread(it, 1), rate, seconds)
        most = it.most_in_flight()
    with stage(args.service, 1, workers=2) as it:
        on_one = goodput(_saturate(it, spread(it, 1), seconds), 1.0, seconds)
        on_both = _arrive(it, spread(it, 2), rate, seconds)
        most = max(most, it.most_in_flight())
    waits = [percentile(latencies(each, 200), 0.99) - args.service for each in (alone, on_both)]
    strange = sum(outcome.status != 200 for outcome in alone + on_both)
    claims = [
        Claim("all load on one of two: goodput, share of a single worker's", on_one / single, 0.9, "", least=True),
        Claim("load on both: p99 of the wait, times a single worker's", waits[1] / waits[0], 1.5, ""),
        Claim("most in flight in the function", most, 1, ""),
        Claim("not answered with 200", strange, 0, ""),
    ]
    facts = [
        ("goodput of a single worker", f"{single:.1f}/s"),
        ("goodput of one of two workers", f"{on_one:.1f}/s"),
        ("p99 of the wait, a single worker", f"{waits[0] * 1000:.1f} ms"),
        ("p99 of the wait, two workers", f"{waits[1] * 1000:.1f} ms at {rate:.0f}/s"),
    ]
    print(table(f"two workers, one slot, a function that takes {args.service * 1000:g} ms", claims, facts))
    return 0 if verdict(claims) else 1


def spread(it: Stage, workers: int) -> list[socket.socket]:
    """Connections that lie evenly on so many of the router's workers."""
    connected: list[socket.socket] = []
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        connected.append(socket.create_connection(it.address))
        owner = owners(connected, it.pids())
        fullest = Counter(owner.values()).most_common(workers)
        if len(fullest) == workers and fullest[-1][1] >= CONNECTIONS // workers:
            used = [one for pid, _ in fullest for one in _of(owner, pid)[: CONNECTIONS // workers]]
            for spare in set(connected) - set(used):
                spare.close()
            return used
    raise SystemExit("the router does not accept connections")


def _of(owner: dict[socket.socket, int], pid: int) -> list[socket.socket]:
    return [one for one, holder in owner.items() if holder == pid]


def _saturate(it: Stage, sockets: list[socket.socket], seconds: float) -> list[Outcome]:
    return OpenLoop(it.address, get(it.path), 0, sockets).run(at_once(1_000_000), seconds)


def _arrive(it: Stage, sockets: list[socket.socket], rate: float, seconds: float) -> list[Outcome]:
    """Requests in turn over all connections, so that each worker has its share of them."""
    return OpenLoop(it.address, get(it.path), 0, sockets).run(poisson(rate, seconds, random.Random(SEED)), seconds + 1.0)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.twoworkers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each of the four measurements (10)")
    parser.add_argument("--service", type=float, default=0.01, help="seconds that the function takes (0.01)")
    parser.add_argument("--share", type=float, default=0.7, help="offered load on both, as a share of the peak (0.7)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
