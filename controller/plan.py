"""What has to be done for one function: `plan(function, observed, now) -> Plan`. Pure, and the same everywhere.

It reads what is observed, never what happened, so that running it again from any point is safe: done often enough, with its
actions carried out, it asks for nothing more. A revision that was not proven never gets traffic, unless `scaling.initial` is 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from controller import conditions, reports, rollout, traffic
from controller.actions import (
    Action,
    DropRevision,
    Forget,
    Observed,
    Plan,
    PublishRoute,
    RecordRevision,
    RemoveRoute,
    RetireRevision,
    SetStatus,
    StartBuild,
    StopBuild,
    WantReplicas,
)
from controller.documents import rfc3339
from controller.model import Function, FunctionSpec, FunctionStatus, Revision
from controller.rollout import Rollout, Settled
from controller.validate import policy
from router.model import Backend, Route, RouteKey, Settings


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator sets."""

    url: str = "http://127.0.0.1:8080"  # where the router listens
    kept_revisions: int = 3  # proven ones beside the routed, to go back to
    retry_first: float = 5.0  # seconds until a build that may pass is tried again, doubled each time
    retry_longest: float = 300.0  # seconds
    routers_scale: bool = False  # as in Observed: so it is in a cluster
    builder: str = ""  # names all that builds are made with; what failed with it is not built again after a start; "" = it is


def plan(function: Function, observed: Observed, now: float, rules: Rules | None = None) -> Plan:
    """What to do now, and when to look again. `now` in unix seconds, never running backwards."""
    if function.deleting:
        return _deletion(function, observed, now)
    rules = rules or Rules()
    observed = _with_old_failure(function, observed, rules)
    known, recorded = _record(function, observed, now)
    seen = dataclasses.replace(observed, revisions=known)
    build, retry_at = _build(function, seen, now, rules)
    newest = _newest(function, known, traffic.main(traffic.now(function, seen), known))
    decided = rollout.decide(function, seen, newest, now, _unreleased(function, seen, newest))
    settled = {
        name: rollout.settle(function.spec, seen, name, rollout.desired(function.spec, seen, decided, name), now)
        for name in _names(seen)
    }
    draining = frozenset(name for each in settled.values() for name in each.draining)
    times = (retry_at, decided.again_at, conditions.starting_until(decided, seen), now + rollout.LOOK if draining else None)
    return Plan(
        actions=(
            *recorded,
            *build,
            *_route(function, seen, decided, settled),
            *_deploy(seen, decided, settled),
            *_dropped(function.spec, seen, decided, rules),
            *_status(function, _without_old_build(seen, build), decided, now, rules),
        ),
        again_at=min((at for at in times if at is not None and at > now), default=None),
        draining=draining,
    )


def build_key(spec: FunctionSpec) -> str:
    """Names what a build is made of: two specs with one key have one artifact."""
    git = spec.git and (spec.git.url, spec.git.ref, spec.git.path)
    return f"{spec.type} {spec.runtime} {spec.image or git or spec.source} {spec.entry}"


def same_process(one: FunctionSpec, other: FunctionSpec) -> bool:
    """Whether a process started for one may serve the other: scaling, times and limits are the router's alone."""
    return _process(one) == _process(other)


def _process(spec: FunctionSpec) -> tuple[object, ...]:
    return (build_key(spec), spec.env, spec.env_from, spec.image_pull_secrets, spec.port, spec.resources, spec.restart)


def route(function: Function, backends: Iterable[Backend]) -> Route:
    """The function's route with these revisions behind it."""
    spec = function.spec
    settings = Settings(
        timeout=spec.timeout,
        idle_timeout=spec.idle_timeout,
        max_duration=spec.max_duration,
        drain_timeout=spec.drain_timeout,
        concurrency=spec.concurrency,
        queue_limit=spec.queue_limit,
        queue_bytes=spec.queue_bytes,
        body_limit=spec.body_limit,
        sticky=spec.sticky,
        client_abort=spec.client_abort,
        upgrades=spec.upgrades,
    )
    return Route(key(function), tuple(backends), settings, policy(spec) if spec.replicas is None else None)


def key(function: Function) -> RouteKey:
    """The function's place in the route table."""
    return RouteKey("*", function.project, function.name)


def _newest(function: Function, revisions: Iterable[Revision], routed: Revision | None) -> Revision | None:
    """The revision whose processes are what the spec asks for: the routed one if it can be, else the newest."""
    able = [each for each in revisions if same_process(each.spec, function.spec)]
    if routed in able:
        return routed
    return max(able, key=lambda each: each.generation, default=None)


def _record(function: Function, observed: Observed, now: float) -> tuple[tuple[Revision, ...], list[Action]]:
    """The revisions as they are after this look: a new one where the spec has an artifact, and those now proven."""
    known = list(observed.revisions)
    artifact = _artifact(function.spec, observed)
    if artifact and _released(function) and _newest(function, known, None) is None:
        name = f"{function.name}-{function.generation:05d}"
        known.append(
            Revision(name=name, generation=function.generation, artifact=artifact, spec=function.spec, created_at=rfc3339(now))
        )
    enough = max(1, function.spec.scaling.initial)
    after = tuple(
        replace(each, proven_at=rfc3339(now))
        if not each.proven_at and len(rollout.ready(observed, each.name)) >= enough
        else each
        for each in known
    )
    return after, [RecordRevision(each) for each in after if each not in observed.revisions]


def _released(function: Function) -> bool:
    return function.spec.deploy == "auto" or function.released >= function.generation


def _unreleased(function: Function, observed: Observed, newest: Revision | None) -> str:
    """The artifact that waits to be released; "" when none does."""
    return "" if newest or _released(function) else _artifact(function.spec, observed)


def _artifact(spec: FunctionSpec, observed: Observed) -> str:
    if spec.image:
        return spec.image
    wanted, build = build_key(spec), observed.build
    if build and build.key == wanted and build.result and build.result.artifact:
        return build.result.artifact
    return next((each.artifact for each in observed.revisions if build_key(each.spec) == wanted), "")


def _build(function: Function, observed: Observed, now: float, rules: Rules) -> tuple[list[Action], float | None]:
    """What to do about the build, and when to try it again."""
    build, wanted = observed.build, build_key(function.spec)
    if _artifact(function.spec, observed):
        pointless = build is not None and build.result is None
        return [StopBuild()] if pointless else [], None
    if build is None or build.key != wanted:
        return [StartBuild(wanted, 1)], None
    if build.result is None:
        return [], None
    if build.generation != function.generation:
        return [StartBuild(wanted, 1)], None
    if not build.result.may_pass:
        return [], None
    at = build.ended + min(rules.retry_longest, rules.retry_first * 2.0 ** min(build.attempt - 1, 16))
    return ([StartBuild(wanted, build.attempt + 1)], None) if now >= at else ([], at)


def _with_old_failure(function: Function, observed: Observed, rules: Rules) -> Observed:
    """What this process never built: the status may remember that it failed, and when it is due again."""
    if observed.build is not None:
        return observed
    return dataclasses.replace(observed, build=reports.remembered(function, build_key(function.spec), rules.builder))


def _without_old_build(observed: Observed, build: list[Action]) -> Observed:
    """What the status is judged by: a build that another follows now says nothing any more, least of all that it failed."""
    return dataclasses.replace(observed, build=None) if any(isinstance(each, StartBuild) for each in build) else observed


def _names(observed: Observed) -> list[str]:
    """Every revision there is anything of, records first."""
    records = [each.name for each in observed.revisions]
    there = (*observed.applied, *sorted(observed.remains), *(each.revision for each in observed.replicas))
    return list(dict.fromkeys([*records, *there]))


def _route(function: Function, observed: Observed, decided: Rollout, settled: dict[str, Settled]) -> list[Action]:
    if not decided.shares:
        return [RemoveRoute()] if observed.route else []
    backends = (rollout.backend(name, each, decided) for name, each in settled.items())
    published = route(function, sorted((each for each in backends if each), key=lambda each: (-each.weight, each.revision)))
    actions: list[Action] = [] if published == observed.route else [PublishRoute(published)]
    if decided.switched and decided.wanted > observed.wanted:
        actions.append(WantReplicas(decided.wanted))
    return actions


def _deploy(observed: Observed, decided: Rollout, settled: dict[str, Settled]) -> list[Action]:
    records = {each.name: each for each in observed.revisions}
    actions = (rollout.deploy(name, records.get(name), each, observed, decided) for name, each in settled.items())
    return [each for each in actions if each]


def _dropped(spec: FunctionSpec, observed: Observed, decided: Rollout, rules: Rules) -> list[Action]:
    """Records that nobody needs: never proven ones that are past, and proven ones beyond those kept."""
    in_use = {each.name for each in (decided.routed, decided.target, decided.newest) if each} | set(observed.applied)
    in_use |= {share.revision for share in spec.traffic} | set(decided.shares)
    in_use |= {each.revision for each in observed.replicas}
    past = [each for each in observed.revisions if each.name not in in_use]
    proven = [each for each in past if each.proven_at]
    kept = proven[-rules.kept_revisions :] if rules.kept_revisions else []
    return [DropRevision(each.name) for each in past if each not in kept]


def _status(function: Function, observed: Observed, decided: Rollout, now: float, rules: Rules) -> list[Action]:
    status = FunctionStatus(
        observed_generation=function.generation,
        revision=decided.routed.name if decided.routed else "",
        replicas=sum(len(rollout.ready(observed, name)) for name in decided.shares),
        wanted=decided.wanted,
        url=f"{rules.url}{observed.path or f'/fn/{key(function)}'}",
        traffic=traffic.listed(decided.shares),
        build=reports.report(function, observed, rules.builder),
        conditions=conditions.assess(function, observed, decided, now),
    )
    return [] if status == function.status else [SetStatus(status)]


def _deletion(function: Function, observed: Observed, now: float) -> Plan:
    """First the route, then the replicas, then the document; sources and artifacts are left to the collection of garbage."""
    actions: list[Action] = [RemoveRoute()] if observed.route else []
    if observed.build and observed.build.result is None:
        actions.append(StopBuild())
    running = {each.revision for each in observed.replicas if not each.stopping} | set(observed.applied) | observed.remains
    actions += [RetireRevision(name) for name in sorted(running)]
    if not actions and not observed.replicas:
        return Plan((Forget(),))
    status = replace(function.status, replicas=0, wanted=0, conditions=conditions.deleting(function, now))
    return Plan((*actions, *([] if status == function.status else [SetStatus(status)])))
