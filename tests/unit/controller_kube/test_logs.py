"""The logs of a function's pods as one stream: in order at first, then as they come, also of pods that restart; each once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from controller.kube.logs import LINE, Logs
from kube.errors import Attempt, NotFound, Status
from kube.model import ObjectMeta, Pod, PodStatus
from tests.shared.controller_world import VirtualLoop, run


class Container:
    """What a pod wrote, as the API server tells it: a time before each line."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.more = asyncio.Event()
        self.ended = False
        self.readers = 0

    def write(self, *lines: str) -> None:
        self.lines += lines
        self.more.set()

    def end(self) -> None:
        self.ended = True
        self.more.set()

    async def chunks(self, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Pieces that end anywhere but at the end of a line."""
        told = max(0, len(self.lines) - int(query.get("tailLines", len(self.lines))))
        self.readers += 1
        try:
            while True:
                text = "".join(f"{line}\n" for line in self.lines[told:] if line[:20] >= query.get("sinceTime", "")).encode()
                told = len(self.lines)
                for at in range(0, len(text), 7):
                    yield text[at : at + 7]
                if "follow" not in query or self.ended:
                    return
                self.more.clear()
                await self.more.wait()
        finally:
            self.readers -= 1


class Cluster:
    """Pods of one function, as much of a client as reads their logs, and what knows them."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.exists = True

    def of(self, namespace: str, function: str) -> list[Pod]:
        assert (namespace, function) == ("default", "hello")
        return [Pod(metadata=ObjectMeta(name=name), status=PodStatus(phase="Running")) for name in self.containers]

    @asynccontextmanager
    async def stream(self, attempt: Attempt, path: str, query: Mapping[str, str], timeout: float) -> AsyncIterator[Any]:
        name = path.split("/")[-2]
        assert path == f"/api/v1/namespaces/default/pods/{name}/log" and query["timestamps"] == "true"
        if name not in self.containers:
            raise NotFound(attempt, 404, Status())
        yield _Stream(self.containers[name], query)

    def logs(self) -> Logs:
        return Logs(self, self, lambda *_: self.exists)  # type: ignore[arg-type]


class _Stream:
    def __init__(self, container: Container, query: Mapping[str, str]) -> None:
        self._container, self._query = container, query

    def chunks(self, timeout: float) -> AsyncIterator[bytes]:
        return self._container.chunks(self._query)


def at(second: int, text: str) -> str:
    return f"2026-01-01T00:00:{second:02d}Z {text}"


async def told(cluster: Cluster, lines: list[str], tail: int = 100) -> None:
    """Follow the function and note what is told, until it is gone."""
    async with aclosing(cluster.logs().read("default", "hello", tail, follow=True)) as found:  # type: ignore[type-var]
        async for line in found:
            lines.append(f"{line.replica}: {line.line}")


def test_the_last_lines_of_all_replicas_come_in_the_order_of_their_times() -> None:
    async def test(loop: VirtualLoop) -> None:
        cluster = Cluster()
        cluster.containers = {"a": Container(at(1, "one"), at(4, "four")), "b": Container(at(2, "two"), at(3, "three"))}
        found = [line async for line in cluster.logs().read("default", "hello", 3, follow=False)]
        assert [(line.replica, line.line) for line in found] == [("b", "two"), ("b", "three"), ("a", "four")]
        assert found[0].time == "2026-01-01T00:00:02Z"
        assert [line async for line in cluster.logs().read("default", "hello", 0, follow=False)] == []
        of_a = [line async for line in cluster.logs().read("default", "hello", 1, follow=False, only="a")]
        assert [(line.replica, line.line) for line in of_a] == [("a", "four")]

    run(test)


def test_a_follower_hears_every_replica_also_those_that_come_later_and_each_line_once() -> None:
    async def test(loop: VirtualLoop) -> None:
        cluster, lines = Cluster(), list[str]()
        a, b = cluster.containers["a"], cluster.containers["b"] = Container(at(1, "old")), Container()
        following = asyncio.create_task(told(cluster, lines))
        await asyncio.sleep(2)
        assert lines == ["a: old"]
        b.write(at(2, "b speaks"))
        await asyncio.sleep(0.1)
        a.write(at(3, "a speaks"))
        await asyncio.sleep(0.1)
        assert lines[1:] == ["b: b speaks", "a: a speaks"]
        cluster.containers["c"] = Container(at(4, "c began"), at(5, "before anyone looked"))
        await asyncio.sleep(2)
        assert lines[3:] == ["c: c began", "c: before anyone looked"]
        cluster.exists = False
        await following
        assert len(lines) == 5
        assert [each.readers for each in cluster.containers.values()] == [0, 0, 0]

    run(test)


def test_a_container_that_ends_is_followed_again_when_it_is_back_and_one_that_goes_ends_nothing() -> None:
    async def test(loop: VirtualLoop) -> None:
        cluster, lines = Cluster(), list[str]()
        a, b = cluster.containers["a"], cluster.containers["b"] = Container(at(1, "begun")), Container()
        following = asyncio.create_task(told(cluster, lines))
        await asyncio.sleep(2)
        a.write(at(2, "it crashes"))
        a.end()
        await asyncio.sleep(3)
        cluster.containers["a"] = Container(at(2, "it crashes"), at(9, "begun again"))
        await asyncio.sleep(2)
        assert lines == ["a: begun", "a: it crashes", "a: begun again"]
        b.end()
        del cluster.containers["b"]
        await asyncio.sleep(2)
        cluster.containers["a"].write(at(10, "still here"))
        await asyncio.sleep(0.1)
        assert lines[3:] == ["a: still here"]
        following.cancel()
        await asyncio.wait({following})
        assert cluster.containers["a"].readers == 0, "whoever goes away leaves no stream behind"

    run(test)


def test_who_follows_without_a_past_hears_only_what_is_written_from_now_on() -> None:
    async def test(loop: VirtualLoop) -> None:
        cluster, lines = Cluster(), list[str]()
        a = cluster.containers["a"] = Container(at(1, "past"), at(2, "past too"))
        following = asyncio.create_task(told(cluster, lines, tail=0))
        await asyncio.sleep(2)
        assert lines == []
        a.end()
        await asyncio.sleep(0.1)
        a = cluster.containers["a"] = Container(at(5, "begun anew"))
        await asyncio.sleep(2)
        a.write(at(6, "now"))
        await asyncio.sleep(0.1)
        assert lines == ["a: begun anew", "a: now"]
        cluster.exists = False
        await following

    run(test)


def test_a_line_without_end_is_told_in_pieces() -> None:
    async def test(loop: VirtualLoop) -> None:
        cluster = Cluster()
        cluster.containers["a"] = Container(at(1, "x" * (2 * LINE)))
        found = [line async for line in cluster.logs().read("default", "hello", 5, follow=False)]
        assert "".join(line.line for line in found) == "x" * (2 * LINE)
        assert {line.time for line in found} == {"2026-01-01T00:00:01Z"} and max(len(line.line) for line in found) <= LINE + 7

    run(test)
