"""How the API shows a function: the stored document, and what people ask first beside it."""

from __future__ import annotations

import msgspec

from controller.model import Function


class FunctionView(Function, frozen=True, kw_only=True, rename="camel"):
    """A function as the API shows it."""

    replicas: int = 0  # ready now
    ready: bool = False  # answers as last asked for
    reason: str = ""  # why (not), CamelCase: "Ready", "Building", "CrashLoop", …
    url: str = ""


class FunctionList(msgspec.Struct, frozen=True, kw_only=True):
    """All functions."""

    items: list[FunctionView]


def settled(function: Function) -> str:
    """ "True" or "False" when what was last asked for is Ready, or is not and will not become so by itself; else "Unknown"."""
    status = function.status
    if function.deleting or status.observed_generation != function.generation:
        return "Unknown"
    return next((each.status for each in status.conditions if each.type == "Ready"), "Unknown")


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
