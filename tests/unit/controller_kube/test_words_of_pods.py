"""What a pod that runs and does not get ready is heard to say, and when it is listened to. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from controller.kube.pods import last_words, replica, silent
from controller.kube.words import Words
from kube.model import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    ObjectMeta,
    Pod,
    PodCondition,
    PodStatus,
)
from tests.shared.controller_world import run

NAMES = ObjectMeta(name="hello-00001-x", namespace="team", labels={"cloudbase.dev/function": "hello"})
RUNNING = ContainerStatus(name="function", state=ContainerState())


def pod(container: ContainerStatus = RUNNING, ready: str = "False") -> Pod:
    conditions = (PodCondition(type="Ready", status=ready),)
    return Pod(metadata=NAMES, status=PodStatus(phase="Running", conditions=conditions, container_statuses=(container,)))


class House:
    """One pod, its log, and who is told of new words."""

    def __init__(self) -> None:
        self.pod: Pod | None = pod()
        self.log = ""
        self.read: list[float] = []
        self.told: list[tuple[str, str]] = []
        self.words = Words(lambda *_: self.pod, self._read, lambda *who: self.told.append(who))

    async def _read(self, namespace: str, name: str, lines: int) -> str:
        assert (namespace, name) == ("team", "hello-00001-x")
        self.read.append(asyncio.get_running_loop().time())
        return self.log


def play(scenario: Callable[[House], Awaitable[None]]) -> None:
    async def whole(_: object) -> None:
        house = House()
        task = asyncio.create_task(house.words.run())
        await scenario(house)
        task.cancel()

    run(whole)


def test_one_that_is_late_is_listened_to_and_who_looks_after_it_is_told() -> None:
    async def scenario(house: House) -> None:
        assert house.pod is not None
        house.log = "starting\n\nwaiting for db:5432\n"
        assert house.words.of(house.pod) == ""
        await asyncio.sleep(19)
        assert house.read == []
        await asyncio.sleep(2)
        assert house.words.of(house.pod) == "starting | waiting for db:5432"
        assert house.told == [("team", "hello")]

    play(scenario)


def test_it_is_read_ever_more_rarely_and_told_only_when_it_says_something_new() -> None:
    async def scenario(house: House) -> None:
        assert house.pod is not None
        house.log = "still waiting"
        house.words.of(house.pod)
        await asyncio.sleep(400)
        assert house.read == [20, 60, 140, 300]
        assert len(house.told) == 1
        house.log = "giving up soon"
        await asyncio.sleep(300)
        assert house.words.of(house.pod) == "giving up soon"
        assert len(house.told) == 2

    play(scenario)


def test_one_that_got_ready_or_went_away_is_left_in_peace() -> None:
    async def scenario(house: House) -> None:
        assert house.pod is not None
        house.log = "hm"
        house.words.of(house.pod)
        await asyncio.sleep(21)
        house.pod = pod(ready="True")
        assert house.words.of(house.pod) == ""
        await asyncio.sleep(1000)
        assert len(house.read) == 1
        house.pod = pod()
        house.words.of(house.pod)
        house.pod = None
        await asyncio.sleep(1000)
        assert len(house.read) == 1

    play(scenario)


def test_only_one_that_runs_unready_and_whose_status_says_nothing_is_silent() -> None:
    assert silent(pod())
    assert not silent(pod(ready="True"))
    assert not silent(pod(replace(RUNNING, state=ContainerState(waiting=ContainerStateWaiting(reason="ContainerCreating")))))
    ended = ContainerState(terminated=ContainerStateTerminated(exit_code=3, message="no database"))
    assert not silent(pod(replace(RUNNING, last_state=ended)))
    assert not silent(Pod(metadata=NAMES, status=PodStatus(phase="Pending")))


def test_its_words_are_told_after_what_its_status_says() -> None:
    assert replica(pod(), "waiting for db").message == "it runs and does not answer on its port; it last wrote: waiting for db"
    assert replica(pod()).message == ""
    ended = ContainerState(terminated=ContainerStateTerminated(exit_code=3, message="no database"))
    assert replica(pod(replace(RUNNING, last_state=ended)), "other").message == "exited with status 3: no database"


def test_of_records_in_json_the_message_is_told() -> None:
    assert last_words('{"time": "2026-01-01", "message": "no database:\\n  at db\\n"}\n') == "no database: | at db"
    assert last_words('plain\n{"level": "info"}\n{broken\n["message"]') == '{"level": "info"} | {broken | ["message"]'
