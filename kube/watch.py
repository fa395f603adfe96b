"""What to watch, and an open watch: lines of a streamed response as typed events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from kube.codec import WatchEvent, codec
from kube.errors import Attempt, ServerError, Status, refusal
from kube.transport import Stream
from kube.wire import Lines

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects of a kind: a namespace ("" = all) and selectors in Kubernetes' notation."""

    namespace: str = ""
    labels: str = ""  # "app=hello,tier!=db"
    fields: str = ""  # "metadata.name=hello"

    def __str__(self) -> str:
        place = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        return ", ".join(word for word in (place, self.labels, self.fields) if word)

    def query(self) -> dict[str, str]:
        query = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: value for name, value in query.items() if value}


EVERYTHING = Scope()


class Watch(Generic[T]):
    """An open watch. Ends when the server ends it, which is normal."""

    def __init__(self, attempt: Attempt, stream: Stream, struct: type[T], silence: float) -> None:
        self._attempt = attempt
        self._stream = stream
        self._codec = codec(struct)
        self._silence = silence

    async def batches(self) -> AsyncGenerator[list[WatchEvent[T]], None]:
        """Events, as many at a time as arrived together. Raises Gone and others for an ERROR event, Unreachable."""
        lines = Lines()
        async with aclosing(self._stream.chunks(self._silence)) as chunks:
            async for chunk in chunks:
                batch: list[WatchEvent[T]] = []
                for line in lines.feed(chunk):
                    event = self._decode(line)
                    if event.error is not None:
                        if batch:
                            yield batch
                        raise refusal(self._attempt, event.error.code, event.error)
                    batch.append(event)
                if batch:
                    yield batch

    def _decode(self, line: bytes) -> WatchEvent[T]:
        try:
            return self._codec.event(line)
        except msgspec.DecodeError as error:
            message = f"not a watch event: {error}: {line[:80]!r}"
            raise ServerError(self._attempt, 200, Status(message=message)) from error
