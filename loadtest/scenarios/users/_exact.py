"""What all locustfiles share: every latency as it was, and the options by which a run is told what it needs to know.

Locust's own statistics round to a millisecond, which is as long as a warm request takes. A locustfile that imports this writes
what succeeded, as `{name: [milliseconds, …]}`, to the file that LOADTEST_EXACT names; a master has its workers' as well, and
shows it at /exact of its web interface.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from locust import events
from locust.rpc import Message
from locust.runners import WorkerRunner

_taken: dict[str, list[float]] = defaultdict(list)


@events.init_command_line_parser.add_listener
def _options(parser: Any, **_: Any) -> None:
    parser.add_argument("--beside", default="", metavar="URL", help="warm: every second call goes to this server instead")
    parser.add_argument(
        "--pause", type=float, default=2.5, metavar="SECONDS",
        help="cold: of silence before a call, the grace, a scaling tick and the end of the replica",
    )  # fmt: skip


@events.init.add_listener
def _show(environment: Any, **_: Any) -> None:
    if environment.web_ui:
        environment.web_ui.app.add_url_rule("/exact", "exact", lambda: (json.dumps(_taken), {"Content-Type": "application/json"}))


@events.test_start.add_listener
def _forget(**_: Any) -> None:
    _taken.clear()


@events.request.add_listener
def _note(name: str, response_time: float, exception: Exception | None, **_: Any) -> None:
    if exception is None and response_time is not None:
        _taken[name].append(response_time)


@events.report_to_master.add_listener
def _report(data: dict[str, Any], **_: Any) -> None:
    data["exact"] = dict(_taken)
    _taken.clear()


@events.test_stop.add_listener
def _report_the_rest(environment: Any, **_: Any) -> None:
    """Before a worker says that it has stopped: the master listens to no report that comes later, and its period is 3 s."""
    if isinstance(environment.runner, WorkerRunner):
        data: dict[str, Any] = {}
        environment.events.report_to_master.fire(client_id=environment.runner.client_id, data=data)
        environment.runner.client.send(Message("stats", data, environment.runner.client_id))


@events.worker_report.add_listener
def _gather(data: dict[str, Any], **_: Any) -> None:
    for name, times in data.get("exact", {}).items():
        _taken[name].extend(times)


@events.quit.add_listener
def _write(**_: Any) -> None:
    if path := os.environ.get("LOADTEST_EXACT"):
        Path(path).write_text(json.dumps(_taken))
