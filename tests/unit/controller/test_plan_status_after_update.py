"""An update's status speaks of the update, not of the build before it."""

from __future__ import annotations

from msgspec.structs import replace

from controller.actions import Build, Observed, SetStatus, StartBuild
from controller.model import Function, FunctionSpec
from controller.plan import build_key, plan
from controller.ports import BuildResult


def test_an_update_is_not_called_failed_because_the_build_before_it_was_another_one() -> None:
    before = FunctionSpec(runtime="node", source="a")
    after = replace(before, source="b")
    old = Build(build_key(before), 1, started=True, result=BuildResult(artifact="x"))

    actions = plan(Function(name="f", generation=2, spec=after), Observed(build=old), now=1000.0).actions

    assert StartBuild(build_key(after), 1) in actions
    [status] = [each.status for each in actions if isinstance(each, SetStatus)]
    assert {each.type: each.status for each in status.conditions}["Ready"] == "Unknown"
