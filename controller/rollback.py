"""Back to an older revision, and forward again: what the spec has to say then. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from controller.errors import Conflict, FieldError, Invalid
from controller.model import Function, FunctionSpec, Revision, Share

NEWEST = "newest"


def spec(function: Function, revisions: Sequence[Revision], to: str) -> FunctionSpec:
    """The function's spec with all traffic on the revision `to`: its name, "newest", or "" for the one before.

    The one before is the youngest that is older than the one with the most traffic now and was ready once. Raises Conflict
    where there is none, Invalid where there is no such revision.
    """
    if to == NEWEST:
        return replace(function.spec, traffic=())
    target = _named(function, revisions, to) if to else _before(function, revisions)
    return replace(function.spec, traffic=(Share(revision=target.name, percent=100),))


def _named(function: Function, revisions: Sequence[Revision], name: str) -> Revision:
    found = next((each for each in revisions if each.name == name), None)
    if found is None:
        there = ", ".join(each.name for each in revisions) or "none yet"
        raise Invalid([FieldError("revision", f'there is no revision "{name[:80]}" of {function.name}; there are: {there}')])
    return found


def _before(function: Function, revisions: Sequence[Revision]) -> Revision:
    routed = next((each for each in revisions if each.name == function.status.revision), None)
    older = [each for each in revisions if each.proven_at and routed and each.generation < routed.generation]
    if not older:
        now = f"{routed.name} has the traffic" if routed else "none has the traffic"
        raise Conflict(
            f"there is no older revision of {function.name} that was ever ready: {now}; name one, or deploy another source"
        )
    return max(older, key=lambda each: each.generation)
