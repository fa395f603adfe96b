"""What the API server was asked, as its audit log has it: also where the log was begun anew meanwhile, as it is after 100 MB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def now() -> str:
    """This moment as the log writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def entries(log: str, words: str, since: str = "") -> Iterator[dict[str, Any]]:
    """What was answered since then, of the lines with these words; the oldest first."""
    path = Path(log)
    for file in (*sorted(path.parent.glob(f"{path.stem}-*{path.suffix}")), path):
        with file.open() as lines:
            for line in lines:
                if words in line and line.endswith("\n") and (entry := json.loads(line))["stageTimestamp"] >= since:
                    yield entry
