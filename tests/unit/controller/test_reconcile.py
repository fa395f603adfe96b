"""The reconciler, from a document to a route and back, in virtual time."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec.structs import replace

from cloudbase.deploying import told
from controller.conditions import UNDELIVERED
from controller.errors import StoreFailed
from controller.memory import MemoryFunctionStore, MemorySourceStore
from controller.model import FunctionStatus, Revision, Scaling, Trigger
from controller.plan import Rules
from controller.ports import BuildResult
from controller.reconcile import Reconciler
from tests.shared.controller_world import VirtualLoop, WorldBuilder, WorldDeployer, WorldRoutes, run, spec
from tests.unit.controller.reconcile_world import KEY, world


def test_a_new_function_is_built_started_and_routed() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.01)
            (backend,) = w.route.backends
            assert (backend.revision, len(backend.endpoints), backend.weight) == ("hello-00001", 1, 100)
            assert w.function.status.revision == "hello-00001"
            assert w.function.status.url == "http://127.0.0.1:8080/fn/hello"
            assert [each.status for each in w.function.status.conditions] == ["True"] * 4
            told = [(event.type, event.reason) for event in w.reconciler.progress.history(("default", "hello"))]
            assert ("Build", "Output") in told
            assert told[-1] == ("Ready", "Ready")

    run(test)


def test_a_function_that_takes_events_says_that_none_come_yet() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec(type="EVENT", triggers=(Trigger(broker="b", subject="s"),)))
            await asyncio.sleep(0.01)
            subscribed, ready = w.condition("Subscribed"), w.condition("Ready")
            assert (subscribed.status, subscribed.reason) == ("False", "NoDelivery")
            assert subscribed.message == UNDELIVERED
            assert (ready.status, ready.message) == ("True", f"hello-00001 has the traffic; {subscribed.message}")
            lines = [told(msgspec.to_builtins(each)) for each in w.reconciler.progress.history(("default", "hello"))]
            assert (f"Subscribed: {subscribed.message}", "") in lines, "nothing has failed"

    run(test)


def test_it_goes_to_zero_when_asked_and_comes_back_when_woken() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.01)
            w.reconciler.scale_to(KEY, 0, "idle")
            await asyncio.sleep(0.01)
            assert (w.names(), w.route.backends[0].endpoints) == ([], ())
            assert w.condition("Ready").status == "True"
            w.reconciler.wake(KEY)
            await asyncio.sleep(0.01)
            assert w.names() == ["hello-00001"]
            assert len(w.route.backends[0].endpoints) == 1

    run(test)


def test_a_replica_that_goes_is_out_of_the_route_and_idle_first() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.01)
            w.reconciler.scale_to(KEY, 2, "busy")
            await asyncio.sleep(0.01)
            first, second = w.route.backends[0].endpoints
            w.routes.busy = {("hello-00001", first.address): 3, ("hello-00001", second.address): 1}
            w.reconciler.scale_to(KEY, 1, "calm")
            await asyncio.sleep(1)
            assert {each.address: each.draining for each in w.route.backends[0].endpoints} == {
                first.address: False,
                second.address: True,  # it has the fewest requests
            }
            assert len(w.names()) == 2
            w.routes.busy = {("hello-00001", first.address): 3}
            await asyncio.sleep(1)
            assert [each.address for each in w.route.backends[0].endpoints] == [first.address]
            assert [each.address for each in w.deployer.observe("default", "hello")] == [first.address]

    run(test)


def test_what_does_not_end_is_ended_when_the_drain_timeout_is_over() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec(drain_timeout=100.0))
            await asyncio.sleep(0.01)
            (endpoint,) = w.route.backends[0].endpoints
            w.routes.busy = {("hello-00001", endpoint.address): 1}
            w.reconciler.scale_to(KEY, 0, "idle")
            await asyncio.sleep(99)
            assert w.names() == ["hello-00001"]
            await asyncio.sleep(2)
            assert w.names() == []

    run(test)


def test_an_update_switches_when_the_new_revision_is_ready_and_drains_the_old_one() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec("a"))
            await asyncio.sleep(0.01)
            (endpoint,) = w.route.backends[0].endpoints
            w.routes.busy = {("hello-00001", endpoint.address): 1}
            await w.store.apply("default", "hello", spec("b"))
            await asyncio.sleep(1)
            assert [(each.revision, each.weight) for each in w.route.backends] == [("hello-00002", 100), ("hello-00001", 0)]
            assert w.names() == ["hello-00001", "hello-00002"]
            w.routes.busy = {}
            await asyncio.sleep(1)
            assert [each.revision for each in w.route.backends] == ["hello-00002"]
            assert (w.names(), w.deployer.retired) == (["hello-00002"], ["hello-00001"])

    run(test)


def test_a_broken_update_never_takes_traffic_and_the_status_says_its_last_words() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            w.deployer.broken = {"sha256:artifact-b"}
            await w.store.apply("default", "hello", spec("a"))
            await asyncio.sleep(0.01)
            await w.store.apply("default", "hello", spec("b"))
            await asyncio.sleep(100)
            assert {each.revision for route in w.routes.past for each in route.backends} == {"hello-00001"}
            ready = w.condition("Ready")
            assert (ready.status, ready.reason) == ("False", "CrashLoop")
            assert "SyntaxError: bad" in ready.message
            assert "hello-00001 has the traffic" in ready.message
            await w.store.apply("default", "hello", spec("a"))
            await asyncio.sleep(1)
            assert (w.condition("Ready").status, w.names()) == ("True", ["hello-00001"])

    run(test)


def test_only_what_the_process_must_see_makes_a_new_revision() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.01)
            await w.store.apply("default", "hello", spec(scaling=Scaling(max=3), timeout=5.0, concurrency=2))
            await asyncio.sleep(0.01)
            assert w.names() == ["hello-00001"]
            assert (w.route.settings.timeout, w.route.settings.concurrency) == (5.0, 2)
            assert w.route.policy
            assert w.route.policy.maximum == 3
            await w.store.apply("default", "hello", spec(env={"A": "1"}))
            await asyncio.sleep(1)
            assert (w.names(), w.builder.built) == (["hello-00003"], ["a"])  # the artifact is the same

    run(test)


def test_a_build_is_tried_again_only_when_its_cause_may_pass() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            w.builder.results = {
                "a": BuildResult(reason="RegistryAway", message="no answer", may_pass=True),
                "b": BuildResult(reason="SyntaxError", message="line 1"),
            }
            await w.store.apply("default", "hello", spec("a"))
            await asyncio.sleep(40)  # tried after 0, 5, 15 and 35 s
            assert w.builder.built == ["a"] * 4
            assert w.condition("Built").reason == "RegistryAway"
            await w.store.apply("default", "hello", spec("b"))
            await asyncio.sleep(500)
            assert w.builder.built == ["a"] * 4 + ["b"]
            assert (w.condition("Ready").status, w.condition("Ready").reason) == ("False", "SyntaxError")
            await w.store.apply("default", "hello", spec("b", env={"TOKEN": "right"}))
            await asyncio.sleep(1)
            assert w.builder.built[-2:] == ["b", "b"]

    run(test)


def test_a_build_that_a_newer_source_makes_pointless_is_cancelled() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            w.builder.open.clear()
            await w.store.apply("default", "hello", spec("a"))
            await asyncio.sleep(0.01)
            await w.store.apply("default", "hello", spec("b"))
            await asyncio.sleep(0.01)
            assert (w.builder.cancelled, w.builder.built) == (["a"], ["a", "b"])
            w.builder.open.set()
            await asyncio.sleep(0.01)
            assert w.names() == ["hello-00002"]

    run(test)


def test_builds_are_limited_and_projects_take_turns() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop, builds=1) as w:
            w.builder.open.clear()
            for project, name, source in (("p", "f1", "1"), ("p", "f2", "2"), ("p", "f3", "3"), ("q", "g", "9")):
                await w.store.apply(project, name, spec(source))
                await asyncio.sleep(0.01)
            w.builder.open.set()
            await asyncio.sleep(1)
            assert (w.builder.built, w.builder.most) == (["1", "2", "9", "3"], 1)

    run(test)


def test_a_deleted_function_leaves_nothing() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.01)
            w.deployer.stop_at_once = False
            await w.store.mark_deleting("default", "hello")
            await asyncio.sleep(3)
            assert KEY not in w.routes.table
            assert w.function.status.conditions[0].reason == "Deleting"  # its process still ends
            w.deployer.replicas.clear()
            w.deployer.changed("default", "hello")
            await asyncio.sleep(0.01)
            assert w.store.list() == []
            assert w.deployer.forgotten == [("default", "hello")]
            assert w.reconciler.progress.history(("default", "hello")) == []

    run(test)


def test_after_a_restart_everything_is_routed_again_and_nothing_is_built_or_started() -> None:
    async def test(loop: VirtualLoop) -> None:
        store = MemoryFunctionStore(loop.wall)
        async with world(loop, store) as w:
            await w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.01)
        async with world(loop, store) as w:
            await w.reconciler.synced.wait()
            assert w.route.backends[0].revision == "hello-00001"
            await asyncio.sleep(1)
            assert (w.builder.built, w.names(), w.condition("Ready").status) == ([], [], "True")
            w.reconciler.wake(KEY)
            await asyncio.sleep(0.01)
            assert w.names() == ["hello-00001"]

    run(test)


def test_a_build_that_failed_is_not_made_again_by_a_restart_unless_it_is_due_or_asked_for_or_builds_have_other_settings() -> None:
    fails = {"a": BuildResult(reason="SyntaxError", message="line 1", log=("oh",), seconds=1.25)}

    async def test(loop: VirtualLoop) -> None:
        store, rules = MemoryFunctionStore(loop.wall), Rules(builder="these")

        async def built(rules: Rules, seconds: float = 500) -> list[str]:
            async with world(loop, store, rules=rules) as w:
                w.builder.results = fails
                await asyncio.sleep(seconds)
                assert (w.condition("Built").status, w.condition("Built").message) == ("False", "line 1")
                return w.builder.built

        await store.apply("default", "hello", spec("a"))
        assert await built(rules) == ["a"]
        before = store.get("default", "hello")
        assert await built(rules) == []
        assert store.get("default", "hello") == before, "a restart writes nothing where nothing changed"
        assert await built(Rules(builder="others")) == ["a"]
        assert await built(Rules()) == ["a"], "where settings have no name, a start is a new try"
        assert await built(rules) == ["a"]
        await store.apply("default", "hello", spec("a", restart="now"))
        assert await built(rules) == ["a"]

    run(test)


def test_a_build_that_may_pass_is_tried_again_when_it_is_due_though_the_controller_restarts() -> None:
    async def test(loop: VirtualLoop) -> None:
        store, rules = MemoryFunctionStore(loop.wall), Rules(builder="these")
        result = BuildResult(reason="RegistryAway", message="no answer", may_pass=True)
        await store.apply("default", "hello", spec("a"))
        async with world(loop, store, rules=rules) as w:
            w.builder.results = {"a": result}
            await asyncio.sleep(16)  # tried after 0, 5 and 15 s; the next is due after 35 s
            assert w.builder.built == ["a"] * 3
        async with world(loop, store, rules=rules) as w:
            w.builder.results = {"a": result}
            await asyncio.sleep(18)
            assert (w.builder.built, w.condition("Built").reason) == ([], "RegistryAway")
            await asyncio.sleep(2)
            assert w.builder.built == ["a"]
            w.builder.results = {}
            await asyncio.sleep(41)
            assert w.builder.built == ["a", "a"]
            assert w.condition("Built").status == "True"
            report = w.function.status.build
            assert report and report.artifact and report.failure is None

    run(test)


def test_what_is_kept_of_a_failed_build_goes_once_its_failure_is_stored_and_not_before() -> None:
    class FullStore(MemoryFunctionStore):
        full = True

        async def set_status(self, project: str, name: str, status: FunctionStatus) -> None:
            if self.full and status.build:
                raise StoreFailed("no room")
            await super().set_status(project, name, status)

    async def test(loop: VirtualLoop) -> None:
        store = FullStore(loop.wall)
        await store.apply("default", "hello", spec("a"))
        async with world(loop, store) as w:
            w.builder.results = {"a": BuildResult(reason="RegistryAway", message="no answer", may_pass=True, leftover="job a")}
            await asyncio.sleep(4)
            assert (w.builder.built, w.builder.settled) == (["a"], [])
            store.full = False
            await asyncio.sleep(1200)
            assert len(w.builder.built) > 3
            assert w.builder.settled == ["job a"] * len(w.builder.built)

    run(test)


def test_a_deployer_that_fails_is_asked_again_and_disturbs_nobody() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            w.deployer.fails = 3
            await w.store.apply("default", "hello", spec())
            await asyncio.sleep(0.05)
            assert w.names() == []
            await w.store.apply("default", "other", spec())
            await asyncio.sleep(2)
            assert w.names() == ["hello-00001"]
            assert len(w.deployer.observe("default", "other")) == 1

    run(test)


def test_when_nothing_changes_nothing_is_done() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec())
            await asyncio.sleep(1)
            changes: list[str] = []
            w.store.watch(lambda project, name: changes.append(name))
            calls, routes = len(w.deployer.calls), len(w.routes.past)
            for _ in range(5):
                w.reconciler.look(("default", "hello"))
                w.reconciler.wake(KEY)
                await asyncio.sleep(1)
            assert (changes, len(w.deployer.calls), len(w.routes.past)) == ([], calls, routes)

    run(test)


def test_garbage_is_what_neither_a_function_nor_a_kept_revision_references() -> None:
    async def main() -> None:
        store, sources, builder = MemoryFunctionStore(), MemorySourceStore(), WorldBuilder()
        reconciler = Reconciler(store, builder, WorldDeployer(), WorldRoutes(), sources)
        now, before, gone = [await sources.put({"a": content}) for content in (b"1", b"2", b"3")]
        function = await store.apply("default", "hello", spec())
        await store.apply("default", "hello", replace(function.spec, source=now))
        old = Revision(name="hello-00001", generation=1, artifact="art-2", spec=replace(function.spec, source=before))
        await store.put_revision("default", "hello", old)
        assert await reconciler.garbage.collect() == (1, 0)
        assert [await sources.has(each) for each in (now, before, gone)] == [True, True, False]
        assert builder.kept == {"art-2"}

    asyncio.run(main())
