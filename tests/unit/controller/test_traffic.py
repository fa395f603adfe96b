"""Shares of the traffic, rollbacks by name, pinned replicas and releases, in virtual time."""

from __future__ import annotations

import asyncio

from controller.model import Share
from tests.shared.controller_world import VirtualLoop, run, spec
from tests.unit.controller.reconcile_world import KEY, World, world


def shares(w: World) -> list[tuple[str, int]]:
    return [(each.revision, each.weight) for each in w.route.backends]


def test_a_rollback_by_name_goes_to_the_old_revision_once_it_runs_and_back_to_the_newest_without_traffic() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec("a"))
            await asyncio.sleep(1)
            await w.store.apply("default", "hello", spec("b"))
            await asyncio.sleep(1)
            assert (shares(w), w.names()) == ([("hello-00002", 100)], ["hello-00002"])
            await w.store.apply("default", "hello", spec("b", traffic=(Share(revision="hello-00001", percent=100),)))
            await asyncio.sleep(1)
            assert (shares(w), w.names()) == ([("hello-00001", 100)], ["hello-00001"])
            assert all(each.backends[0].endpoints for each in w.routes.past[1:])  # somebody could answer all the time
            assert w.function.status.traffic == (Share(revision="hello-00001", percent=100),)
            assert w.condition("Ready").status == "True"
            await w.store.apply("default", "hello", spec("b"))
            await asyncio.sleep(1)
            assert shares(w) == [("hello-00002", 100)]

    run(test)


def test_a_canary_gets_its_share_when_it_is_ready_and_a_broken_one_none() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            w.deployer.broken = {"sha256:artifact-c"}
            await w.store.apply("default", "hello", spec("a"))
            await asyncio.sleep(1)
            canary = (Share(revision="hello-00001", percent=90), Share(percent=10))
            await w.store.apply("default", "hello", spec("b", traffic=canary))
            await asyncio.sleep(1)
            assert shares(w) == [("hello-00001", 90), ("hello-00002", 10)]
            assert w.names() == ["hello-00001", "hello-00002"]
            assert w.condition("Routed").reason == "Shared"
            w.reconciler.scale_to(KEY, 10, "busy")
            await asyncio.sleep(1)
            assert (w.names().count("hello-00001"), w.names().count("hello-00002")) == (9, 1)
            await w.store.apply("default", "hello", spec("c", traffic=canary))
            await asyncio.sleep(1)
            assert shares(w) == [("hello-00001", 90), ("hello-00002", 10)]
            assert (w.condition("Ready").status, w.condition("Ready").reason) == ("False", "CrashLoop")

    run(test)


def test_traffic_for_a_revision_that_is_not_there_changes_nothing_and_says_which_there_are() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec("a"))
            await asyncio.sleep(1)
            await w.store.apply("default", "hello", spec("a", traffic=(Share(revision="hello-00009", percent=100),)))
            await asyncio.sleep(1)
            assert shares(w) == [("hello-00001", 100)]
            ready = w.condition("Ready")
            assert (ready.status, ready.reason) == ("False", "RevisionMissing")
            assert "there are: hello-00001" in ready.message

    run(test)


def test_pinned_replicas_are_nobodys_to_scale_until_the_pin_is_taken_away() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec("a", replicas=3))
            await asyncio.sleep(1)
            w.reconciler.scale_to(KEY, 0, "idle")
            await asyncio.sleep(1)
            assert (len(w.names()), w.route.policy) == (3, None)
            await w.store.apply("default", "hello", spec("a", replicas=0))
            await asyncio.sleep(1)
            assert w.names() == []
            await w.store.apply("default", "hello", spec("a"))
            w.reconciler.wake(KEY)
            await asyncio.sleep(1)
            assert len(w.names()) == 1
            assert w.route.policy is not None

    run(test)


def test_what_is_built_waits_for_its_release_where_the_function_says_so() -> None:
    async def test(loop: VirtualLoop) -> None:
        async with world(loop) as w:
            await w.store.apply("default", "hello", spec("a", deploy="manual"))
            await asyncio.sleep(1)
            assert (w.builder.built, w.names(), w.routes.table) == (["a"], [], {})
            assert w.condition("Built").status == "True"
            assert w.condition("Deployed").reason == "Unreleased"
            await w.store.release("default", "hello")
            await asyncio.sleep(1)
            assert shares(w) == [("hello-00001", 100)]
            await w.store.apply("default", "hello", spec("b", deploy="manual"))
            await asyncio.sleep(1)
            assert (w.builder.built, shares(w)) == (["a", "b"], [("hello-00001", 100)])

    run(test)
