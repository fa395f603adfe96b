"""The informer benchmark runs, and its table ends as a fresh list has it; its figures are for a machine that is not busy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_small_run_ends_with_the_table_that_a_fresh_list_makes() -> None:
    words = [sys.executable, "-m", "loadtest.informer", "--services", "100", "--rate", "100", "--seconds", "0.5"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "0 of 100 routes differ" in done.stdout, done.stdout + done.stderr
    assert "stored to table" in done.stdout
