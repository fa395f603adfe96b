"""What a deployment tells, line by line."""

from __future__ import annotations

from cloudbase.deploying import told


def test_an_empty_line_of_a_build_is_not_told_and_any_other_is() -> None:
    assert told({"type": "Build", "reason": "Output", "message": ""}) is None
    assert told({"type": "Build", "reason": "Output", "message": "npm ci"}) == ("  npm ci", "progress")
    assert told({"type": "Build", "reason": "Started"}) == ("  Started", "progress")
