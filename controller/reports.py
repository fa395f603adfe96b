"""What the status keeps of the last build, and what a controller that has just started reads out of it again. Pure."""

from __future__ import annotations

from controller.actions import Build, Observed
from controller.conditions import WORDS
from controller.documents import rfc3339, unix
from controller.model import BuildFailure, BuildReport, Function
from controller.ports import BuildResult

LINES = 20  # of a build's output that the status keeps


def report(function: Function, observed: Observed, builder: str) -> BuildReport | None:
    """The last build that ended, though one may be under way, and after a start the one that the status remembers."""
    build = observed.build
    if build is None or build.result is None:
        return function.status.build
    result = build.result
    return BuildReport(
        artifact=result.artifact,
        commit=result.commit,
        seconds=round(result.seconds, 1),
        cached=result.cached,
        log=result.log[-LINES:],
        failure=None if result.artifact else _failure(build, result, builder),
    )


def remembered(function: Function, wanted: str, builder: str) -> Build | None:
    """The failed build of what is asked for now, by a builder like this one: another would fail as it did, or is due later.

    None where none failed so, and where `builder` is "": then a start of the platform is a new try.
    """
    kept = function.status.build
    failure = kept.failure if kept else None
    if kept is None or failure is None or not builder:
        return None
    if failure.builder != builder or failure.generation != function.generation:
        return None
    result = BuildResult(
        reason=failure.reason,
        message=failure.message,
        log=kept.log,
        seconds=kept.seconds,
        commit=kept.commit,
        may_pass=failure.may_pass,
    )
    return Build(wanted, failure.generation, failure.attempt, started=True, result=result, ended=unix(failure.ended_at))


def _failure(build: Build, result: BuildResult, builder: str) -> BuildFailure:
    return BuildFailure(
        reason=result.reason,
        message=result.message[:WORDS],
        generation=build.generation,
        attempt=build.attempt,
        ended_at=rfc3339(build.ended),
        may_pass=result.may_pass,
        builder=builder,
    )
