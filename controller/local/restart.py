"""When a replica that ended is started again, and when that is a crash loop. No clock in here.

The first restart is immediate, so that a killed process is replaced at once; after that the pause doubles, as a kubelet's
does, but from a tenth of a second, because a process costs less than a container.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE = 0.1  # seconds before the second restart
LONGEST_PAUSE = 30.0  # seconds
FORGIVEN = 30.0  # seconds of running after which a crash counts as the first again
LOOP = 3  # crashes in a row that make a crash loop


@dataclass(frozen=True, slots=True)
class Crashes:
    """Crashes in a row, and what follows from them."""

    count: int = 0

    def after(self, ran: float) -> Crashes:
        """One more crash, of a process that ran for `ran` seconds."""
        return Crashes(1 if ran >= FORGIVEN else self.count + 1)

    @property
    def pause(self) -> float:
        """Seconds until the next start."""
        return 0.0 if self.count <= 1 else min(FIRST_PAUSE * 2.0 ** min(self.count - 2, 20), LONGEST_PAUSE)

    @property
    def loop(self) -> bool:
        return self.count >= LOOP
