"""Kubernetes' resource quantities ("256Mi", "500m") as numbers; the subset that memory and CPU limits need.

Source: k8s.io/apimachinery/pkg/api/resource, Quantity.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

_SUFFIXES = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P"), 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate(("K", "M", "G", "T", "P"), 1)},
}
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(m|k|[MGTP]|[KMGTP]i)?", re.ASCII)


def parse(text: str) -> Decimal:
    """The number that `text` stands for. Raises ValueError with what a quantity looks like."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f'is not a quantity: "{text}"; write it as Kubernetes does, for example 256Mi or 500m')
    return Decimal(match[1]) * _SUFFIXES[match[2] or ""]


def memory_bytes(text: str) -> int:
    """Bytes of memory; fractions are rounded up. Raises ValueError."""
    return math.ceil(parse(text))


def cpus(text: str) -> float:
    """CPUs (1.0 = one core). Raises ValueError."""
    return float(parse(text))
