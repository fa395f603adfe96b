"""When requests arrive: evenly, or at random as independent users do. Pure: randomness comes in."""

from __future__ import annotations

import random
from collections.abc import Iterator


def steady(rate: float, seconds: float) -> Iterator[float]:
    """Seconds since the start, `rate` of them a second at even distances."""
    return (number / rate for number in range(int(rate * seconds)))


def poisson(rate: float, seconds: float, source: random.Random) -> Iterator[float]:
    """Seconds since the start, a Poisson process: exponential distances of mean 1/rate."""
    at = source.expovariate(rate)
    while at < seconds:
        yield at
        at += source.expovariate(rate)


def at_once(number: int) -> Iterator[float]:
    """All at the start: with a bound on connections this is a closed loop that never lets one idle."""
    return (0.0 for _ in range(number))
