"""Ten times more than a function with concurrency 1 can do: the goodput must stay, refusals must be quick, memory must stay flat.

    python -m loadtest.overload [--seconds 20] [--service 0.01] [--times 10]

The bounds: goodput at least 90 % of the peak that the same function reaches behind the same router without overload,
99 % of refusals within 50 ms, and at most 2 MiB more resident memory at the end than when the queue had filled.
"""

from __future__ import annotations

import argparse
import sys

from loadtest.arrivals import at_once, steady
from loadtest.openloop import OpenLoop, get
from loadtest.outcomes import Outcome, goodput, percentile, statuses
from loadtest.stage import Memory, Stage, stage
from loadtest.verdict import Claim, table, verdict

CONNECTIONS = 4000  # enough for all that may wait, and for those that are being refused
REFUSED = (429, 503)
PEAK_SECONDS = 4.0
SETTLED = 0.5  # share of the run after which the queue has filled


def main(argv: list[str]) -> int:
    """Exit status 0 when every bound was kept, else 1."""
    args = _arguments().parse_args(argv)
    with stage(service=args.service, concurrency=1) as it:
        peak = measure_peak(it)
        with Memory(it.pids) as memory:
            offered = peak * args.times
            outcomes = OpenLoop(it.address, get(it.path), CONNECTIONS).run(steady(offered, args.seconds), args.seconds)
        most = it.most_in_flight()
    claims = judge(outcomes, peak, args.seconds, memory.growth(SETTLED))
    claims.append(Claim("most in flight in the function", most, 1, ""))
    facts = [
        ("peak", f"{peak:.1f}/s"),
        ("offered", f"{offered:.0f}/s for {args.seconds:g} s"),
        ("answers by status", ", ".join(f"{status}: {count}" for status, count in statuses(outcomes).items())),
        ("resident memory", f"{memory.last:.1f} MiB"),
    ]
    print(
        table(f"overload: {args.times:g} x the peak of a function with concurrency 1, {args.service * 1000:g} ms", claims, facts)
    )
    return 0 if verdict(claims) else 1


def measure_peak(it: Stage) -> float:
    """Answers a second with one to eight connections that never rest: the best of them."""
    rates = []
    for connections in (1, 2, 8):
        outcomes = OpenLoop(it.address, get(it.path), connections).run(at_once(100_000), PEAK_SECONDS)
        rates.append(goodput(outcomes, 1.0, PEAK_SECONDS))
    return max(rates)


def judge(outcomes: list[Outcome], peak: float, seconds: float, growth: float) -> list[Claim]:
    """The claims; goodput once the queue has filled. `growth` is MiB."""
    good = goodput(outcomes, seconds * SETTLED, seconds)
    refusals = [outcome.latency for outcome in outcomes if outcome.status in REFUSED]
    strange = sum(outcome.status not in (200, *REFUSED) for outcome in outcomes)
    return [
        Claim("goodput, share of the peak", good / peak, 0.9, "", least=True),
        Claim("refusals, p99", percentile(refusals, 0.99) * 1000, 50, "ms"),
        Claim("growth of memory", growth, 2, "MiB"),
        Claim("neither answered nor refused", strange, 0, ""),
    ]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.overload", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the overload (20)")
    parser.add_argument("--service", type=float, default=0.01, help="seconds that the function takes (0.01)")
    parser.add_argument("--times", type=float, default=10.0, help="offered load as a multiple of the peak (10)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
