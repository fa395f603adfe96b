"""What kube.lease promises, over the fake API server and over a real one: one leader, takeover in time, no overlap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from kube.access import Access
from kube.client import Client
from kube.election import Terms
from kube.lease import Leadership, NotLeading
from kube.resource import LEASES
from tests.shared.kube_world import World, on_both
from tests.shared.waiting import until

TERMS = Terms(duration=2.0, renew_deadline=1.2, interval=0.3)
UNHURRIED = Terms(duration=8.0, renew_deadline=5.2, interval=1.2)  # a real API server on a busy machine stops for seconds


def terms(world: World) -> Terms:
    return UNHURRIED if world.server is None else TERMS


@dataclass
class Candidate:
    leadership: Leadership
    task: asyncio.Task[None]
    changes: list[tuple[float, bool]] = field(default_factory=list)

    @property
    def leading(self) -> bool:
        return self.leadership.leading

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def candidate(world: World, identity: str, access: Access | None = None) -> AsyncIterator[Candidate]:
    async with Client(access or world.access, timeout=terms(world).duration) as client:
        changes: list[tuple[float, bool]] = []
        leadership = Leadership(
            client, world.namespace, "scaler", identity, terms(world), lambda leading: changes.append((time.monotonic(), leading))
        )
        one = Candidate(leadership, asyncio.create_task(leadership.run()), changes)
        try:
            yield one
        finally:
            await one.stop()


@on_both
async def test_exactly_one_of_several_leads_and_the_others_know_who(world: World) -> None:
    async with candidate(world, "a") as a, candidate(world, "b") as b, candidate(world, "c") as c:
        everyone = (a, b, c)
        await until(lambda: any(one.leading for one in everyone))
        for _ in range(40):  # over several renewals
            assert sum(one.leading for one in everyone) <= 1
            await asyncio.sleep(terms(world).interval / 10)
        [leader] = [one for one in everyone if one.leading]
        await until(lambda: {one.leadership.holder for one in everyone} == {leader.leadership.identity})


@on_both
async def test_a_lease_that_is_given_back_changes_hands_at_once(world: World) -> None:
    async with candidate(world, "a") as a:
        await until(lambda: a.leading)
        async with candidate(world, "b") as b:
            await until(lambda: b.leadership.holder == "a")
            began = time.monotonic()
            await a.stop()
            await until(lambda: b.leading)
            assert time.monotonic() - began < terms(world).duration / 2
            assert b.leadership.term > a.leadership.term
    lease = await world.client.get(LEASES, "scaler", world.namespace)
    assert not lease.spec.holder_identity


@on_both
async def test_when_the_holder_dies_another_takes_over_within_the_lease_and_never_beside_it(world: World) -> None:
    wire = await world.wire()
    async with candidate(world, "a", wire) as a:
        await until(lambda: a.leading)
        async with candidate(world, "b") as b:
            await until(lambda: b.leadership.holder == "a")
            cut_at = time.monotonic()
            wire.silence()  # it lives on, but nothing it does gets through
            while not b.leading:
                assert time.monotonic() - cut_at < terms(world).duration * 1.5
                await asyncio.sleep(0.002)
            assert not a.leading
            wire.cut()
            wire.restore()
            await until(lambda: a.leadership.holder == "b")
            assert b.leading and not a.leading
    stopped_at = next(at for at, leading in a.changes if not leading)
    began_at = next(at for at, leading in b.changes if leading)
    assert stopped_at - cut_at <= terms(world).renew_deadline * 1.4
    assert stopped_at < began_at


@on_both
async def test_a_write_of_the_leader_is_broken_off_at_its_deadline_and_none_starts_after_it(world: World) -> None:
    wire = await world.wire()
    async with candidate(world, "a", wire) as a:
        with pytest.raises(NotLeading, match="does not hold it"):
            async with a.leadership.writing():
                raise AssertionError("wrote without leading")
        await until(lambda: a.leading)
        async with a.leadership.writing():
            await world.client.get(LEASES, "scaler", world.namespace)
        wire.silence()
        began = time.monotonic()
        with pytest.raises(NotLeading, match="could not renew"):
            async with a.leadership.writing():
                await asyncio.sleep(30)  # a request that hangs
        assert time.monotonic() - began <= terms(world).renew_deadline * 1.4
        wire.cut()
        wire.restore()


@on_both
async def test_a_leader_that_was_frozen_inside_a_write_sends_no_further_request(world: World) -> None:
    frozen_for = 0.0
    terms = Terms(duration=60.0, renew_deadline=40.0, interval=20.0)
    leadership = Leadership(world.client, world.namespace, "scaler", "a", terms, clock=lambda: time.monotonic() + frozen_for)
    task = asyncio.create_task(leadership.run())
    await until(lambda: leadership.leading)
    with pytest.raises(NotLeading, match="does not hold it"):
        async with leadership.writing():
            await world.client.merge(LEASES, "scaler", {"metadata": {"labels": {"write": "first"}}}, world.namespace)
            frozen_for = 41.0
            await world.client.merge(LEASES, "scaler", {"metadata": {"labels": {"write": "second"}}}, world.namespace)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    lease = await world.client.get(LEASES, "scaler", world.namespace)
    assert lease.metadata.labels == {"write": "first"}


@on_both
async def test_a_lost_answer_does_not_cost_the_lease(world: World) -> None:
    wire = await world.wire()
    async with candidate(world, "a", wire) as a:
        await until(lambda: a.leading)
        for _ in range(4):
            wire.cut()
            await asyncio.sleep(0.15)
        await until(lambda: a.leading)
        term = a.leadership.term
        lease = await world.client.get(LEASES, "scaler", world.namespace)
        assert lease.spec.holder_identity == "a" and (lease.spec.lease_transitions or 0) == term == 0


@on_both
async def test_labels_that_others_put_on_the_lease_stay(world: World) -> None:
    await world.client.create(LEASES, {"metadata": {"name": "scaler", "labels": {"owner": "helm"}}}, world.namespace)
    async with candidate(world, "a") as a:
        await until(lambda: a.leading)
    lease = await world.client.get(LEASES, "scaler", world.namespace)
    assert lease.metadata.labels == {"owner": "helm"}


@on_both
async def test_a_lease_that_somebody_deletes_is_made_anew_by_its_holder(world: World) -> None:
    async with candidate(world, "a") as a:
        await until(lambda: a.leading)
        async with candidate(world, "b") as b:
            await until(lambda: b.leadership.holder == "a")
            await world.client.delete(LEASES, "scaler", world.namespace)
            began = time.monotonic()
            while time.monotonic() - began < 1.5 * terms(world).duration:
                assert not b.leading
                await asyncio.sleep(0.01)
            assert a.leading
        assert (await world.client.get(LEASES, "scaler", world.namespace)).spec.holder_identity == "a"
