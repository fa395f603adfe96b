"""The whole platform in one process: router, autoscaler and controller on one event loop, functions as child processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cloudbase.errors import Failed
from cloudbase.settings import Settings


def run(settings: Settings, sample: bool, watch: Sequence[Path]) -> int:
    """Run until a signal; the exit status."""
    raise Failed("this version of the platform cannot run yet")
