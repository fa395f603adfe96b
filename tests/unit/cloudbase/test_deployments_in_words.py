"""What is said of a deployment: its events, why it is not ready, and its state in a list."""

from __future__ import annotations

from typing import Any

import pytest

from cloudbase import sample
from cloudbase.deploying import explanation, remedy, state, told
from cloudbase.errors import Failed
from controller.local import toolchain
from tests.unit.cloudbase.fake_management_api import view


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def seen(*conditions: dict[str, str], **more: Any) -> dict[str, Any]:
    shown = view("f", {"runtime": "node"}) | {"ready": False} | more
    shown["status"]["conditions"] = list(conditions)
    return shown


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (condition("Built", "Unknown", "Building", "the build is under way"), ("Built: the build is under way", "progress")),
        (condition("Built", "True", "Built", "artifact 1"), ("Built: artifact 1", "")),
        (condition("Built", "False", "SyntaxError", "x.py:1"), ("Built: x.py:1", "failed")),
        (
            condition("Routed", "False", "NotRouted", "no revision was ready yet"),
            ("Routed: no revision was ready yet", "progress"),
        ),
        (condition("Ready", "Unknown", "Building", "the build is under way"), None),
        (condition("Ready", "False", "CrashLoop", "ends again and again"), None),
        (condition("Ready", "True", "Ready", "f-00001 has the traffic"), ("Ready: f-00001 has the traffic", "")),
        ({"type": "Build", "message": "npm ci …"}, ("  npm ci …", "progress")),
    ],
)
def test_an_event_is_one_line_and_only_what_failed_is_red(event: dict[str, str], line: tuple[str, str] | None) -> None:
    assert told(event) == line


def test_the_first_condition_that_is_false_explains_before_ready_repeats_it() -> None:
    failed = seen(condition("Ready", "False", "BuildFailed", "again"), condition("Built", "False", "SyntaxError", "x.py:1"))
    assert explanation(failed) == "SyntaxError: x.py:1"
    assert explanation(seen(condition("Ready", "False", "CrashLoop", "ends"))) == "CrashLoop: ends"
    assert explanation(seen(reason="Pending")) == "Pending"


def test_a_start_that_failed_is_read_in_the_log_and_a_build_that_failed_is_mended() -> None:
    assert (
        remedy(seen(condition("Built", "True"), condition("Deployed", "False", "CrashLoop")))
        == "`cloudbase logs f` shows what it wrote"
    )
    unbuilt = seen(condition("Built", "False", "SyntaxError", "x.py:1"))
    unbuilt["status"]["revision"] = "f-00002"
    assert remedy(unbuilt) == "mend that and deploy again; until then f-00002 goes on serving"
    unbuilt["status"]["revision"] = ""
    assert remedy(unbuilt) == "mend that and deploy again"


def test_a_list_shows_the_state_in_a_word_or_two() -> None:
    assert state(seen(ready=True)) == "Ready"
    assert state(seen(condition("Ready", "Unknown", "Building"))) == "Deploying"
    assert state(seen(condition("Ready", "False", "CrashLoop"), reason="CrashLoop")) == "Failed CrashLoop"
    assert state(seen(deleting=True, ready=True)) == "Deleting"


def test_the_sample_is_python_where_there_is_no_node_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sample.choose().folder.name == "node-hello"

    def none(runtime: str) -> tuple[str, ...]:
        raise toolchain.RuntimeUnavailable("no node")

    monkeypatch.setattr(toolchain, "program", none)
    chosen = sample.choose()
    assert (chosen.folder.name, chosen.why) == ("python-hello", "runs on Python, since there is no node on this machine")


def test_a_sample_that_is_not_installed_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "EXAMPLES", sample.EXAMPLES / "nowhere")
    with pytest.raises(Failed) as caught:
        sample.choose()
    assert "cloudbase init" in caught.value.next_step
