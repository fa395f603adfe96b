"""How the API shows a function: the stored document, and what people ask first beside it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from controller.model import Function, Revision


class FunctionView(Function, frozen=True, kw_only=True, rename="camel"):
    """A function as the API shows it."""

    replicas: int = 0  # ready now
    ready: bool = False  # answers as last asked for
    reason: str = ""  # why (not), CamelCase: "Ready", "Building", "CrashLoop", …
    url: str = ""


class RevisionView(Revision, frozen=True, kw_only=True, rename="camel"):
    """A revision as the API shows it."""

    percent: int = 0  # of the function's requests that it has now


class RevisionList(msgspec.Struct, frozen=True, kw_only=True):
    """The revisions that are kept of a function, the newest first."""

    items: list[RevisionView]


class FunctionList(msgspec.Struct, frozen=True, kw_only=True):
    """All functions."""

    items: list[FunctionView]


def settled(function: Function) -> str:
    """ "True" or "False" when what was last asked for is Ready, or is not and will not become so by itself; else "Unknown"."""
    status = function.status
    if function.deleting or status.observed_generation != function.generation:
        return "Unknown"
    return next((each.status for each in status.conditions if each.type == "Ready"), "Unknown")


def over(function: Function) -> bool:
    """Whether nothing more happens by itself: it is settled, or what was built waits to be released."""
    ready = next((each for each in function.status.conditions if each.type == "Ready"), None)
    waits = ready is not None and ready.reason == "Unreleased" and function.released < function.generation
    current = function.status.observed_generation == function.generation and not function.deleting
    return settled(function) != "Unknown" or (current and waits)


def view(function: Function) -> FunctionView:
    """What the API shows of the function."""
    reason = next((each.reason for each in function.status.conditions if each.type == "Ready"), "Pending")
    fields = {field: getattr(function, field) for field in function.__struct_fields__}
    if function.deleting:
        reason = "Deleting"
    elif function.status.observed_generation != function.generation:
        reason = "Pending"
    return FunctionView(
        **fields,
        replicas=function.status.replicas,
        ready=settled(function) == "True",
        reason=reason,
        url=function.status.url,
    )


def revisions(function: Function, kept: Sequence[Revision]) -> RevisionList:
    """What the API shows of the revisions that are kept."""
    shares = {each.revision: each.percent for each in function.status.traffic}
    fields = [{field: getattr(each, field) for field in each.__struct_fields__} for each in kept]
    views = [RevisionView(**each, percent=shares.get(each["name"], 0)) for each in fields]
    return RevisionList(items=sorted(views, key=lambda each: -each.generation))
