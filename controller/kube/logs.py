"""The logs of a function's pods as one stream of lines, as they come; pods that appear meanwhile join in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from controller.kube.seen import Seen
from controller.ports import LogLine
from kube.client import Client
from kube.errors import Attempt, KubeError
from kube.model import Pod

SILENT = 24 * 3600.0  # seconds: a function may have nothing to say for long
LOOK = 1.0  # seconds between looks for new pods, while following
WAITING = 1000  # lines that may wait for a reader that is slow
NOW = "now"  # instead of a time: what was written before is of no interest
LINE = 64 << 10  # bytes of a line, beyond which it is told in pieces


class Logs:
    """Reads `pods/log` of the API server."""

    def __init__(self, client: Client, pods: Seen[Pod], exists: Callable[[str, str], bool]) -> None:
        """`exists`: whether there still is a function (namespace, name)."""
        self._client, self._pods, self._exists = client, pods, exists

    async def read(self, namespace: str, function: str, tail: int, follow: bool, only: str = "") -> AsyncIterator[LogLine]:
        """The last `tail` lines of all pods in order of time, then, with `follow`, what comes, until the function is gone.

        `only`: of the pod of this name.
        """
        last: deque[LogLine] = deque(maxlen=tail)
        names = [pod.metadata.name for pod in self._pods.of(namespace, function) if only in ("", pod.metadata.name)]
        read = await asyncio.gather(*(self._tail(namespace, name, tail) for name in names))
        last.extend(sorted((line for lines in read for line in lines), key=lambda line: line.time))
        for line in last:
            yield line
        if follow:
            told = {name: lines[-1].time if lines else "" for name, lines in zip(names, read, strict=True)}
            since = dict.fromkeys(names, NOW) if not tail else told
            async for line in self._follow(namespace, function, since, only):
                yield line

    async def end(self, namespace: str, pod: str, lines: int) -> str:
        """The last lines of one pod; "" where there are none, or they cannot be read."""
        return "\n".join(each.line for each in await self._tail(namespace, pod, lines))

    async def _follow(self, namespace: str, function: str, since: dict[str, str], only: str) -> AsyncIterator[LogLine]:
        queue: asyncio.Queue[LogLine] = asyncio.Queue(WAITING)
        streams: dict[str, asyncio.Task[None]] = {}
        try:
            while self._exists(namespace, function):
                for pod in self._pods.of(namespace, function):
                    name = pod.metadata.name
                    if (
                        only in ("", name) and _has_begun(pod) and (name not in streams or streams[name].done())
                    ):  # it ends with each of its containers
                        streams[name] = asyncio.create_task(self._stream(namespace, name, since, queue), name=f"log of {name}")
                try:
                    async with asyncio.timeout(LOOK):
                        yield await queue.get()
                except TimeoutError:
                    continue
        finally:
            for task in streams.values():
                task.cancel()
            await asyncio.gather(*streams.values(), return_exceptions=True)

    async def _tail(self, namespace: str, pod: str, tail: int) -> list[LogLine]:
        if not tail:
            return []
        lines: list[LogLine] = []
        try:
            async with aclosing(self._lines(namespace, pod, {"tailLines": str(tail)})) as found:
                lines = [line async for line in found]
        except KubeError:
            pass  # it has not begun, or is gone
        return lines

    async def _stream(self, namespace: str, pod: str, since: dict[str, str], queue: asyncio.Queue[LogLine]) -> None:
        after = since.get(pod, "")
        fresh = after == NOW
        begin = {"tailLines": "0"} if fresh else {"sinceTime": after} if after else {}
        try:
            async with aclosing(self._lines(namespace, pod, {"follow": "true", **begin})) as found:
                async for line in found:
                    if fresh or line.time > after:
                        await queue.put(line)
                        since[pod] = line.time
            if since.get(pod) == NOW:
                since[pod] = ""  # its next container is all new
        except KubeError:
            pass  # it ended: its successor joins in

    async def _lines(self, namespace: str, pod: str, query: dict[str, str]) -> AsyncGenerator[LogLine, None]:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        attempt = Attempt("get", "pods/log", f"{namespace}/{pod}")
        rest = b""
        opened = self._client.stream(attempt, path, {"timestamps": "true", **query}, 30.0)
        async with opened as stream, aclosing(stream.chunks(SILENT)) as chunks:
            async for chunk in chunks:
                *whole, rest = (rest + chunk).split(b"\n")
                for raw in whole:
                    yield _line(pod, raw)
                if len(rest) > LINE:
                    yield _line(pod, rest)
                    rest = rest.partition(b" ")[0] + b" "  # all pieces of a line have its time
        if rest:
            yield _line(pod, rest)


def _has_begun(pod: Pod) -> bool:
    return pod.status.phase not in ("", "Pending")


def _line(pod: str, raw: bytes) -> LogLine:
    time, _, text = raw.decode("utf-8", "replace").partition(" ")
    return LogLine(time, pod, "stdout", text.rstrip("\r"))
