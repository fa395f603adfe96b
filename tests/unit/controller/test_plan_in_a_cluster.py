"""plan where routers scale and drain: it settles from any state, and leaves the replicas of what is routed to them.

Hypothesis plays the user, the routers, the pods, those who delete and edit, and a controller that starts anew at any time.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from msgspec.structs import replace

from controller import plan as planning
from controller.actions import Action, ApplyRevision, Observed, PublishRoute, RecordRevision, RetireRevision, SetStatus
from controller.model import Function, FunctionSpec, Revision, Scaling, Share
from controller.ports import Replica
from router.model import Route
from tests.shared.controller_world import START

GOOD, CRASHES = "good:1", "crashes:1"
RULES = planning.Rules(routers_scale=True)

specs = st.builds(
    lambda image, env, initial, replicas, shares: FunctionSpec(
        image=image, env={"A": env}, scaling=Scaling(initial=initial), replicas=replicas, traffic=shares
    ),
    st.sampled_from([GOOD, GOOD, CRASHES]),
    st.sampled_from("12"),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([None, None, None, 0, 3]),
    st.sampled_from(
        [
            (),
            (),
            (Share(revision="f-00001", percent=100),),
            (Share(revision="f-00001", percent=90), Share(percent=10)),
            (Share(revision="f-00099", percent=100),),
        ]
    ),
)


class Cluster(RuleBasedStateMachine):
    """One function and its children; there is nothing that only the controller knows."""

    def __init__(self) -> None:
        super().__init__()
        self.function = Function(name="f", spec=FunctionSpec(image=GOOD))
        self.now = START
        self.revisions: dict[str, Revision] = {}
        self.applied: dict[str, int] = {}
        self.ready: set[str] = set()  # revisions whose pods have come up
        self.drifted: set[str] = set()
        self.remains: set[str] = set()  # revisions, known or not, whose Service is there without a Deployment
        self.route: Route | None = None

    @rule(spec=specs)
    def the_user_changes_the_spec(self, spec: FunctionSpec) -> None:
        if spec != self.function.spec:
            self.function = replace(self.function, spec=spec, generation=self.function.generation + 1)

    @rule(replicas=st.integers(0, 5))
    def the_routers_scale(self, replicas: int) -> None:
        if self.route and self.route.policy:
            for backend in self.route.backends:
                if backend.revision in self.applied:
                    self.applied[backend.revision] = replicas

    @rule()
    def pods_come_up(self) -> None:
        self.ready = {name for name in self.applied if self.revisions[name].artifact == GOOD}

    @precondition(lambda self: self.applied)
    @rule(index=st.integers(0, 5), edited=st.booleans())
    def somebody_deletes_or_edits(self, index: int, edited: bool) -> None:
        name = sorted(self.applied)[index % len(self.applied)]
        if edited:
            self.drifted.add(name)
        else:
            del self.applied[name]
            self.ready.discard(name)

    @rule(name=st.sampled_from(["f-00001", "f-00002", "f-00099"]))
    def somebody_leaves_a_service(self, name: str) -> None:
        if name not in self.applied:
            self.remains.add(name)

    @rule()
    def somebody_deletes_the_route(self) -> None:
        self.route = None

    @rule(seconds=st.sampled_from([0.1, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def look(self) -> None:
        self.carry_out()

    @rule()
    def settle(self) -> None:
        """Left alone, plan soon asks for nothing more."""
        for _ in range(30):
            actions = self.carry_out()
            self.pods_come_up()
            self.now += 1.0
            if not actions and not self.carry_out():
                break
        else:
            raise AssertionError(f"it never settles: {actions}")
        assert not self.drifted & self.applied.keys()
        assert not self.remains
        status = self.function.status
        ready = next(each for each in status.conditions if each.type == "Ready")
        if any(share.revision == "f-00099" for share in self.function.spec.traffic):
            assert (ready.status, ready.reason) in (("False", "RevisionMissing"), ("False", "CrashLoop"))
        if status.traffic:
            assert self.route is not None
            assert {each.revision for each in self.route.backends} == {each.revision for each in status.traffic}
            assert {each.revision for each in status.traffic} <= self.applied.keys()

    def carry_out(self) -> tuple[Action, ...]:
        actions = planning.plan(self.function, self.observed(), self.now, RULES).actions
        for action in actions:
            self.do(action)
        return actions

    def do(self, action: Action) -> None:
        match action:
            case RecordRevision(revision):
                self.revisions[revision.name] = revision
            case ApplyRevision(revision, replicas):
                served = self.route is not None and any(each.revision == revision.name for each in self.route.backends)
                if served and self.function.spec.replicas is None and revision.name in self.applied:
                    assert replicas == self.applied[revision.name], "the replicas of what is routed are the routers'"
                self.applied[revision.name] = replicas
                self.drifted.discard(revision.name)
                self.remains.discard(revision.name)
            case RetireRevision(revision):
                assert revision not in {each.revision for each in self.route.backends} if self.route else True
                self.applied.pop(revision, None)
                self.drifted.discard(revision)
                self.remains.discard(revision)
            case PublishRoute(route):
                self.publish(route)
            case SetStatus(status):
                assert status != self.function.status
                self.function = replace(self.function, status=status)
            case _:
                self.revisions.pop(getattr(action, "revision", ""), None)

    def publish(self, route: Route) -> None:
        had = {share.revision for share in self.function.status.traffic}
        had |= {each.revision for each in self.route.backends} if self.route else set()
        for backend in route.backends:
            assert backend.weight > 0 and not backend.endpoints
            if backend.revision not in had:
                proven = self.revisions[backend.revision].proven_at
                assert proven or self.function.spec.scaling.initial == 0, "it was never ready"
        self.route = route

    def observed(self) -> Observed:
        pods = tuple(
            Replica(
                f"{name}-{number}", name, f"10.0.0.{number}" if name in self.ready else "", name in self.ready,
                crash_loop=self.revisions[name].artifact == CRASHES,
            )
            for name, count in self.applied.items()
            for number in range(count)
        )  # fmt: skip
        return Observed(
            revisions=tuple(sorted(self.revisions.values(), key=lambda each: each.generation)),
            replicas=pods,
            applied=dict(self.applied),
            drifted=frozenset(self.drifted),
            remains=frozenset(self.remains),
            route=self.route,
            wanted=self.function.status.wanted,
            routers_scale=True,
        )


Cluster.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestPlanInACluster = Cluster.TestCase
