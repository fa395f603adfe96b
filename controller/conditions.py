"""The conditions of a function, each a fact with its reason in words. Pure.

Built: the spec has an artifact. Deployed: the revision of the spec was proven and runs as it should. Routed: some revision
has the traffic. Ready: the function as last asked for answers; False is final until somebody does something. Subscribed, of a
function of type EVENT alone: its triggers' events come to it, which nothing makes so yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from controller.actions import Observed
from controller.documents import rfc3339, unix
from controller.model import Condition, ConditionStatus, Function
from controller.rollout import Rollout, ready

START = 60.0  # seconds after which a new revision that is not ready is called failed; it goes on trying
WORDS = 2000  # characters of a message
UNDELIVERED = "nothing delivers the events of its triggers yet; it can be called like any other function"


def assess(function: Function, observed: Observed, rollout: Rollout, now: float) -> tuple[Condition, ...]:
    """All conditions; those whose status is as before keep the time of their transition."""
    built = _built(observed, rollout)
    deployed = _deployed(observed, rollout, now)
    routed = _routed(observed, rollout)
    subscribed = (_condition("Subscribed", "False", "NoDelivery", UNDELIVERED),) if function.spec.type == "EVENT" else ()
    return transitions(function, (built, deployed, routed, *subscribed, _ready(built, deployed, routed, *subscribed)), now)


def deleting(function: Function, now: float) -> tuple[Condition, ...]:
    """The one condition of a function that goes."""
    return transitions(function, (_condition("Ready", "False", "Deleting", "the function is being deleted"),), now)


def transitions(function: Function, conditions: Iterable[Condition], now: float) -> tuple[Condition, ...]:
    """The conditions with the times of their last change of status."""
    before = {each.type: each for each in function.status.conditions}
    return tuple(_since(each, before.get(each.type), now) for each in conditions)


def alike(one: Condition | None, other: Condition) -> bool:
    """Whether they say the same beside numbers: a crash loop counts on and on, and that is no news."""
    return one is not None and _gist(one) == _gist(other)


def _gist(condition: Condition) -> tuple[str, str, str]:
    return condition.status, condition.reason, re.sub(r"\d+", "", condition.message)


def starting_until(rollout: Rollout, observed: Observed) -> float | None:
    """When the target's time to start is over; None when it is ready or cannot be late."""
    target = rollout.target
    if target is None or target.proven_at or ready(observed, target.name):
        return None
    return unix(target.created_at) + START


def _built(observed: Observed, rollout: Rollout) -> Condition:
    build = observed.build
    if artifact := rollout.newest.artifact if rollout.newest else rollout.unreleased:
        return _condition("Built", "True", "Built", f"artifact {artifact}")
    if build is None or not build.started:
        return _condition("Built", "Unknown", "Queued", "the build waits for a free place")
    if build.result is None:
        return _condition("Built", "Unknown", "Building", "the build is under way")
    again = "; it is tried again" if build.result.may_pass else ""
    return _condition(
        "Built", "False", build.result.reason or "BuildFailed", f"{build.result.message or 'the build failed'}{again}"
    )


def _deployed(observed: Observed, rollout: Rollout, now: float) -> Condition:
    target = rollout.target
    if observed.trouble:
        return _condition("Deployed", "False", "Refused", observed.trouble)
    if target is None and rollout.unreleased:
        return _condition("Deployed", "Unknown", "Unreleased", "what was built waits to be released: cloudbase deploy NAME")
    if target is None:
        return _condition("Deployed", "Unknown", "NotBuilt", "there is nothing to run yet")
    if target.proven_at and ready(observed, target.name):
        return _condition("Deployed", "True", "Running", f"{target.name} runs")
    words = next((each.message for each in observed.replicas if each.revision == target.name and each.message), "")
    if any(each.crash_loop for each in observed.replicas if each.revision == target.name):
        return _condition("Deployed", "False", "CrashLoop", f"{target.name} ends again and again: {words or 'it left no word'}")
    if target.proven_at:
        return _condition("Deployed", "True", "Proven", f"{target.name} was ready and starts on demand")
    until = starting_until(rollout, observed)
    if until is not None and now >= until and any(each.revision == target.name for each in observed.replicas):
        return _condition(
            "Deployed",
            "False",
            "NotReady",
            f"{target.name} is not ready after {START:g} s: {words or 'it does not answer on its port'}",
        )
    return _condition("Deployed", "Unknown", "Starting", f"{target.name} starts" + (f": {words}" if words else ""))


def _routed(observed: Observed, rollout: Rollout) -> Condition:
    routed = rollout.routed
    if rollout.asked.missing:
        there = ", ".join(each.name for each in observed.revisions) or "none yet"
        words = f"traffic names {rollout.asked.missing}, and there is no such revision; there are: {there}"
        return _condition("Routed", "False", "RevisionMissing", words)
    if routed is None:
        return _condition("Routed", "False", "NotRouted", "no revision was ready yet")
    if not rollout.asked.shares or rollout.shares != rollout.asked.shares:
        return _condition("Routed", "True", "OldRevision", f"{routed.name} has the traffic until the new revision is ready")
    if len(rollout.shares) > 1:
        words = ", ".join(f"{name} {percent} %" for name, percent in rollout.shares.items())
        return _condition("Routed", "True", "Shared", f"the traffic is shared: {words}")
    if not routed.proven_at:
        return _condition("Routed", "True", "Unproven", f"{routed.name} has the traffic unproven, as scaling.initial is 0")
    return _condition("Routed", "True", "Routed", f"{routed.name} has the traffic")


def _ready(built: Condition, deployed: Condition, routed: Condition, subscribed: Condition | None = None) -> Condition:
    still = f" ({routed.message})" if routed.status == "True" and routed.reason == "OldRevision" else ""
    for each in (built, deployed, *([routed] if routed.reason == "RevisionMissing" else [])):
        if each.status == "False":
            return _condition("Ready", "False", each.reason, f"{each.message}{still}")
    for each in (built, deployed, routed):
        if each.status == "Unknown" and routed.reason != "Unproven":
            return _condition("Ready", "Unknown", each.reason, f"{each.message}{still}")
    if routed.reason == "OldRevision" or routed.status == "False":
        return _condition("Ready", "Unknown", "Switching", routed.message)
    return _condition("Ready", "True", "Ready", f"{routed.message}; {subscribed.message}" if subscribed else routed.message)


def _since(condition: Condition, before: Condition | None, now: float) -> Condition:
    same = before is not None and before.status == condition.status
    at = before.last_transition_time if before and same else rfc3339(now)
    return Condition(
        type=condition.type, status=condition.status, reason=condition.reason, message=condition.message, last_transition_time=at
    )


def _condition(kind: str, status: ConditionStatus, reason: str, message: str) -> Condition:
    text = message if len(message) <= WORDS else f"{message[: WORDS - 1]}…"
    return Condition(type=kind, status=status, reason=reason, message=text)
