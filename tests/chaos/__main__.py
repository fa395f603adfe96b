"""`make chaos`: runs of the router's core with seeded faults; the first that fails is made short and told step by step. The
same seed is always the same run.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.chaos.draws import Draws, shrink
from tests.chaos.world import World


def failure(draws: Draws, trace: list[str] | None = None) -> str:
    """Why this run fails, and where; empty when all is well."""
    try:
        World(draws, trace).play()
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {where.name}: {str(error)[:300]}"
    return ""


def kind(found: str) -> str:
    """The same for two failures that are the same."""
    return "".join(letter for letter in found[:60] if not letter.isdigit())


def tell(seed: int, found: str, made: list[int]) -> None:
    """The shortest run that fails in this way, and its last steps."""
    print(f"seed {seed}: {found}\nmaking it short …", flush=True)

    def fails(given: list[int]) -> list[int] | None:
        draws = Draws(given=given)
        return draws.made if kind(failure(draws)) == kind(found) else None

    short = shrink(made, fails)
    trace: list[str] = []
    print(failure(Draws(given=short), trace))
    print("\n".join(f"  {line}" for line in trace[-100:]))
    print(f"{len(made)} choices, {len(short)} when short: Draws(given={short})")


def main() -> int:
    """1 when a run failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("seconds", type=int, help="how long to go on")
    parser.add_argument("first", type=int, nargs="?", help="the first seed; without it one from the clock")
    given = parser.parse_args()
    end = time.monotonic() + given.seconds
    seed = first = int(time.time()) * 1000 if given.first is None else given.first
    while time.monotonic() < end:
        draws = Draws(seed)
        if found := failure(draws):
            tell(seed, found, draws.made)
            return 1
        seed += 1
    print(f"{seed - first} runs without a finding, from seed {first} on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
