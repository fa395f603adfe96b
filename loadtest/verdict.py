"""A measured figure beside its bound: a small table, and one word for the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure and the bound that it must keep."""

    what: str
    measured: float
    bound: float
    unit: str
    least: bool = False  # the bound is the least the figure may be, not the most

    @property
    def holds(self) -> bool:
        """Is the bound kept? A figure that is not a number (nothing was measured) keeps none."""
        return self.measured >= self.bound if self.least else self.measured <= self.bound


def table(title: str, claims: Sequence[Claim], facts: Sequence[tuple[str, str]] = ()) -> str:
    """The claims and some facts as text."""
    rows = [
        (claim.what, _figure(claim.measured, claim.unit), _bound(claim), "PASS" if claim.holds else "FAIL") for claim in claims
    ]
    rows = [*((what, figure, "", "") for what, figure in facts), *rows]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [f"  {row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:{widths[2]}}  {row[3]}".rstrip() for row in rows]
    return "\n".join([title, *lines, f"{'PASS' if verdict(claims) else 'FAIL'}"])


def verdict(claims: Sequence[Claim]) -> bool:
    """Do all hold? No claim at all is a failure: nothing was shown."""
    return bool(claims) and all(claim.holds for claim in claims)


def _bound(claim: Claim) -> str:
    return f"{'at least' if claim.least else 'at most'} {_figure(claim.bound, claim.unit)}"


def _figure(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".rstrip() if abs(value) < 100 else f"{value:.0f} {unit}".rstrip()
