"""Every latency, not a histogram's: locust's own statistics round to a millisecond, which is as long as a warm request takes.

A locustfile that imports this writes what succeeded, as `{name: [milliseconds, …]}`, to the file that LOADTEST_EXACT names.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from locust import events

_taken: dict[str, list[float]] = defaultdict(list)


@events.request.add_listener
def _note(name: str, response_time: float, exception: Exception | None, **_: Any) -> None:
    if exception is None and response_time is not None:
        _taken[name].append(response_time)


@events.quit.add_listener
def _write(**_: Any) -> None:
    if path := os.environ.get("LOADTEST_EXACT"):
        Path(path).write_text(json.dumps(_taken))
