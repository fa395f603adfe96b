"""plan, from any state that can come about: it converges, and on the way nothing is routed, stopped or built that must not be.

Hypothesis plays the user, the autoscaler, the clock, the processes and a killed platform; the model carries out plan's actions.
"""

from __future__ import annotations

from dataclasses import replace as with_

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from controller import plan as planning
from controller.actions import (
    Action,
    ApplyRevision,
    Build,
    DropRevision,
    Forget,
    Observed,
    PublishRoute,
    RecordRevision,
    RemoveRoute,
    RetireRevision,
    SetStatus,
    StartBuild,
    StopBuild,
    WantReplicas,
)
from controller.model import Function, FunctionSpec, Revision, Scaling
from controller.ports import BuildResult, Replica
from router.model import Route
from tests.shared.controller_world import START

GOOD, SLOW, CRASHES, NO_BUILD, REGISTRY_AWAY = "a", "b", "c", "d", "e"
DRAIN = 30.0
RULES = planning.Rules(kept_revisions=1)

specs = st.builds(
    lambda source, env, least, more, initial: FunctionSpec(
        runtime="node",
        source=source,
        env={"A": env},
        scaling=Scaling(min=least, max=least + more, initial=min(initial, least + more)),
        timeout=10.0,
        drain_timeout=DRAIN,
    ),
    st.sampled_from([GOOD, SLOW, CRASHES, NO_BUILD, REGISTRY_AWAY]),
    st.sampled_from("12"),
    st.integers(0, 2),
    st.integers(1, 3),
    st.sampled_from([0, 1, 1, 2]),
)


class World(RuleBasedStateMachine):
    """One function, and everything plan sees of it."""

    def __init__(self) -> None:
        super().__init__()
        spec = FunctionSpec(runtime="node", source=GOOD, timeout=10.0, drain_timeout=DRAIN)
        self.function: Function | None = Function(name="f", spec=spec)
        self.now = START
        self.serial = 0
        self.revisions: dict[str, Revision] = {}
        self.published: Route | None = None
        self.forget_memory()

    def forget_memory(self) -> None:
        """What a killed platform forgets; its replicas go with it."""
        self.seen = Observed(wanted=self.function.spec.scaling.min if self.function else 0)

    # --- what happens in the world

    @precondition(lambda self: self.function and not self.function.deleting)
    @rule(spec=specs)
    def the_user_changes_the_spec(self, spec: FunctionSpec) -> None:
        assert self.function
        if spec != self.function.spec:
            self.function = replace(self.function, spec=spec, generation=self.function.generation + 1)

    @precondition(lambda self: self.function)
    @rule(sure=st.integers(0, 9))
    def the_user_deletes_it(self, sure: int) -> None:
        assert self.function
        if sure == 0:
            self.function = replace(self.function, deleting=True)
            self.carry_out()
            self.carry_out()

    @rule(wanted=st.integers(0, 5))
    def the_autoscaler_asks(self, wanted: int) -> None:
        self.seen = with_(self.seen, wanted=wanted)

    @rule(seconds=st.sampled_from([0.1, 1.0, 20.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def the_build_ends(self) -> None:
        build = self.seen.build
        if build and build.result is None:
            source = build.key.split()[2]
            result = BuildResult(artifact=f"art-{source}")
            if source in (NO_BUILD, REGISTRY_AWAY):
                result = BuildResult(reason="DependencyFailed", message="no such package", may_pass=source == REGISTRY_AWAY)
            self.seen = with_(self.seen, build=with_(build, started=True, result=result, ended=self.now))

    @rule()
    def processes_start(self) -> None:
        self.seen = with_(self.seen, replicas=tuple(self.started(each) for each in self.seen.replicas))

    @rule()
    def stopping_processes_end(self) -> None:
        self.seen = with_(self.seen, replicas=tuple(each for each in self.seen.replicas if not each.stopping))

    @rule(index=st.integers(0, 5))
    def a_process_dies(self, index: int) -> None:
        """The deployer starts it again, at another address."""
        alive = [each for each in self.seen.replicas if not each.stopping]
        if alive:
            victim = alive[index % len(alive)]
            fresh = with_(victim, ready=False, address=self.address(victim.name), restarts=victim.restarts + 1)
            replicas = tuple(fresh if each is victim else each for each in self.seen.replicas)
            in_flight = {name: count for name, count in self.seen.in_flight.items() if name != victim.name}
            self.seen = with_(self.seen, replicas=replicas, in_flight=in_flight)

    @rule(index=st.integers(0, 5))
    def a_request_comes(self, index: int) -> None:
        """Only to where the route leads."""
        routed = self.routed_replicas()
        if routed:
            name = routed[index % len(routed)].name
            self.seen = with_(self.seen, in_flight={**self.seen.in_flight, name: self.seen.in_flight.get(name, 0) + 1})

    @rule()
    def requests_end(self) -> None:
        self.seen = with_(self.seen, in_flight={})

    @rule(sure=st.integers(0, 4))
    def the_platform_is_killed_and_starts_again(self, sure: int) -> None:
        if sure == 0:
            self.forget_memory()

    # --- the reconciler

    @rule()
    def look(self) -> None:
        self.carry_out()

    @precondition(lambda self: self.function and not self.function.deleting)
    @rule(spec=specs)
    def the_user_deploys_and_waits(self, spec: FunctionSpec) -> None:
        self.the_user_changes_the_spec(spec)
        self.settle()

    @rule(index=st.integers(0, 5), looks=st.integers(1, 4))
    def it_is_scaled_away_under_load(self, index: int, looks: int) -> None:
        self.a_request_comes(index)
        self.seen = with_(self.seen, wanted=0)
        for _ in range(looks):
            self.carry_out()

    @rule()
    def settle(self) -> None:
        """Left alone, plan soon asks for nothing more, and what was asked for is there."""
        for _ in range(60):
            plan = self.carry_out()
            quiet = not plan
            self.the_build_ends()
            self.processes_start()
            self.requests_end()
            self.stopping_processes_end()
            if quiet and not self.carry_out():
                break
            self.now += 1.0
        else:
            raise AssertionError(f"it never settles: {plan}")
        self.check_outcome()

    def carry_out(self) -> tuple[Action, ...]:
        if self.function is None:
            return ()
        todo = planning.plan(self.function, self.observed(), self.now, RULES)
        before, routed = self.seen.route, self.weighted()
        since = {name: self.seen.draining.get(name, self.now) for name in todo.draining}
        self.seen = with_(self.seen, draining=since)
        for action in todo.actions:
            if isinstance(action, ApplyRevision | RetireRevision):
                self.published = before  # routers may hear of a change later: what this look took out may still be used
            getattr(self, f"do_{type(action).__name__}")(action)
        if self.weighted() - routed and self.routed_replicas():
            assert self.seen.wanted >= 1, "a revision that takes over keeps what it has started"
        return todo.actions

    def do_StartBuild(self, action: StartBuild) -> None:  # noqa: N802
        assert self.function
        assert action.key == planning.build_key(self.function.spec)
        build = self.seen.build
        assert not (build and build.key == action.key and build.result is None), "it is being built already"
        self.seen = with_(self.seen, build=Build(action.key, self.function.generation, action.attempt))

    def do_StopBuild(self, action: StopBuild) -> None:  # noqa: N802
        self.seen = with_(self.seen, build=None)

    def do_RecordRevision(self, action: RecordRevision) -> None:  # noqa: N802
        before = self.revisions.get(action.revision.name)
        assert before is None or replace(before, proven_at=action.revision.proven_at) == action.revision, "revisions never change"
        self.revisions[action.revision.name] = action.revision

    def do_DropRevision(self, action: DropRevision) -> None:  # noqa: N802
        assert action.revision not in {each.revision for each in self.seen.replicas}
        del self.revisions[action.revision]

    def do_ApplyRevision(self, action: ApplyRevision) -> None:  # noqa: N802
        name = action.revision.name
        assert name in self.revisions
        alive = [each for each in self.seen.replicas if each.revision == name and not each.stopping]
        excess = len(alive) - action.replicas
        assert excess <= len(action.leaving), "the deployer must not have to choose"
        for victim in [each for each in alive if each.name in action.leaving][: max(0, excess)]:
            self.stop(victim)
        new = [self.fresh(name) for _ in range(-excess)]
        self.seen = with_(self.seen, replicas=(*self.seen.replicas, *new), applied={**self.seen.applied, name: action.replicas})

    def do_RetireRevision(self, action: RetireRevision) -> None:  # noqa: N802
        assert self.function
        for each in [each for each in self.seen.replicas if each.revision == action.revision and not each.stopping]:
            self.stop(each, self.function.deleting)
        applied = {name: count for name, count in self.seen.applied.items() if name != action.revision}
        self.seen = with_(self.seen, applied=applied)

    def do_PublishRoute(self, action: PublishRoute) -> None:  # noqa: N802
        assert self.function
        weighted = [backend.revision for backend in action.route.backends if backend.weight]
        assert len(weighted) == 1
        if weighted[0] not in self.weighted() | {self.function.status.revision}:
            assert self.revisions[weighted[0]].proven_at or self.function.spec.scaling.initial == 0
        ready = {(each.revision, each.address) for each in self.seen.replicas if each.ready and not each.stopping}
        for backend in action.route.backends:
            for endpoint in backend.endpoints:
                assert endpoint.draining or (backend.revision, endpoint.address) in ready
        self.seen = with_(self.seen, route=action.route)

    def do_RemoveRoute(self, action: RemoveRoute) -> None:  # noqa: N802
        self.seen = with_(self.seen, route=None)

    def do_WantReplicas(self, action: WantReplicas) -> None:  # noqa: N802
        self.seen = with_(self.seen, wanted=max(self.seen.wanted, action.replicas))

    def do_SetStatus(self, action: SetStatus) -> None:  # noqa: N802
        assert self.function
        assert action.status != self.function.status
        self.function = replace(self.function, status=action.status)

    def do_Forget(self, action: Forget) -> None:  # noqa: N802
        assert (self.seen.replicas, self.seen.route) == ((), None)
        self.function, self.revisions = None, {}

    # --- helpers

    def observed(self) -> Observed:
        return with_(self.seen, revisions=tuple(sorted(self.revisions.values(), key=lambda each: each.generation)))

    def weighted(self) -> set[str]:
        """The revisions that have the traffic."""
        return {backend.revision for backend in self.seen.route.backends if backend.weight} if self.seen.route else set()

    def routed_replicas(self) -> list[Replica]:
        backends = self.seen.route.backends if self.seen.route else ()
        open_ = {(backend.revision, each.address) for backend in backends if backend.weight for each in backend.endpoints}
        return [each for each in self.seen.replicas if (each.revision, each.address) in open_ and not each.stopping]

    def stop(self, replica: Replica, regardless: bool = False) -> None:
        """A replica is stopped only out of the route, and idle or out of time; a deletion does not wait."""
        backends = self.published.backends if self.published else ()
        addresses = {endpoint.address for backend in backends for endpoint in backend.endpoints}
        assert regardless or replica.address not in addresses, "it is in the route"
        late = self.now - self.seen.draining.get(replica.name, self.now) >= DRAIN
        assert regardless or not self.seen.in_flight.get(replica.name) or late, "it has requests"
        stopped = with_(replica, stopping=True, ready=False)
        self.seen = with_(self.seen, replicas=tuple(stopped if each is replica else each for each in self.seen.replicas))

    def fresh(self, revision: str) -> Replica:
        self.serial += 1
        name = f"{revision}-{self.serial}"
        return Replica(name, revision, self.address(name))

    def address(self, name: str) -> str:
        self.serial += 1
        return f"unix:/{name}-{self.serial}.sock"

    def started(self, replica: Replica) -> Replica:
        revision = self.revisions.get(replica.revision)
        if replica.stopping or revision is None:
            return replica
        if revision.spec.source == CRASHES:
            return with_(replica, crash_loop=True, message="exited with status 1")
        return with_(replica, ready=True)

    @invariant()
    def there_is_at_most_one_replica_per_request_for_it(self) -> None:
        alive = [each for each in self.seen.replicas if not each.stopping]
        assert len(alive) <= 4 * 5

    def check_outcome(self) -> None:
        if self.function is None:
            return
        status = self.function.status
        ready = next(each for each in status.conditions if each.type == "Ready")
        source, scaling = self.function.spec.source, self.function.spec.scaling
        routed = self.revisions.get(status.revision)
        served = routed is not None and planning.same_process(routed.spec, self.function.spec)
        if source in (GOOD, SLOW):
            assert (ready.status, served) == ("True", True), ready
        elif source in (NO_BUILD, REGISTRY_AWAY):
            assert (ready.status, served) == ("False", False), ready
        elif not served:
            assert (ready.status, ready.reason) == ("False", "CrashLoop"), ready
        assert len(self.revisions) <= 2 + RULES.kept_revisions
        if routed:
            wanted = max(scaling.min, min(self.seen.wanted, scaling.max))
            alive = [each for each in self.seen.replicas if each.revision == routed.name]
            assert len(alive) == wanted
            assert self.seen.route
            (backend,) = self.seen.route.backends
            expected = set() if routed.spec.source == CRASHES else {each.address for each in alive}
            assert {endpoint.address for endpoint in backend.endpoints} == expected
            assert not any(endpoint.draining for endpoint in backend.endpoints)


TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much]
)
