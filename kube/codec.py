"""JSON from the API server to structs: objects, list pages, and watch lines in one pass each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from kube.errors import Status
from kube.model import Metadata

T = TypeVar("T")


class Key(NamedTuple):
    """Identity of an object within its kind; the namespace is "" for kinds without."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Broken:
    """An object that does not fit its struct: who it is and what is wrong."""

    key: Key
    resource_version: str
    message: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One answer to a list request."""

    items: list[T]
    resource_version: str
    continue_token: str = ""  # "" = this was the last page
    broken: list[Broken] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One line of a watch: exactly one of object, error and broken is there."""

    type: str  # "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"
    object: T | None = None
    error: Status | None = None
    broken: Broken | None = None


class _ListMeta(msgspec.Struct, frozen=True):
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    continue_token: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, Generic[T], frozen=True):
    metadata: _ListMeta = _ListMeta()
    items: list[T] | None = None


class _Line(msgspec.Struct, Generic[T], frozen=True):
    type: str
    object: T


_RAW_LIST = msgspec.json.Decoder(_List[msgspec.Raw])
_RAW_LINE = msgspec.json.Decoder(_Line[msgspec.Raw])
_STATUS = msgspec.json.Decoder(Status)
_METADATA = msgspec.json.Decoder(Metadata)
_ERROR_LINE = b'{"type":"ERROR"'  # what Go's encoder writes; other spellings are found the slow way


class Codec(Generic[T]):
    """Decodes one type. Make it by `codec(type)`: decoders are worth keeping. Its struct needs a default for every field."""

    def __init__(self, type: type[T]) -> None:
        self.decode: Callable[[bytes], T] = msgspec.json.Decoder(type).decode
        self._list = msgspec.json.Decoder(_List[type])  # type: ignore[valid-type]
        self._line = msgspec.json.Decoder(_Line[type])  # type: ignore[valid-type]

    def page(self, body: bytes) -> Page[T]:
        """Raises msgspec.DecodeError when the body is no list at all; an item that does not fit only lands in `broken`."""
        try:
            found: _List[Any] = self._list.decode(body)
        except msgspec.ValidationError:
            return self._page_by_item(body)
        return Page(found.items or [], found.metadata.resource_version, found.metadata.continue_token)

    def event(self, line: bytes) -> WatchEvent[T]:
        """Raises msgspec.DecodeError when the line is no watch event at all."""
        if line.startswith(_ERROR_LINE):
            return self._event_by_part(line)
        try:
            found: _Line[Any] = self._line.decode(line)
        except msgspec.ValidationError:
            return self._event_by_part(line)
        if found.type == "ERROR":
            return self._event_by_part(line)
        return WatchEvent(found.type, found.object)

    def _page_by_item(self, body: bytes) -> Page[T]:
        found = _RAW_LIST.decode(body)
        page: Page[T] = Page([], found.metadata.resource_version, found.metadata.continue_token)
        for raw in found.items or []:
            item = self._object(raw)
            if isinstance(item, Broken):
                page.broken.append(item)
            else:
                page.items.append(item)
        return page

    def _event_by_part(self, line: bytes) -> WatchEvent[T]:
        found = _RAW_LINE.decode(line)
        if found.type == "ERROR":
            return WatchEvent("ERROR", error=_STATUS.decode(found.object))
        item = self._object(found.object)
        return WatchEvent(found.type, broken=item) if isinstance(item, Broken) else WatchEvent(found.type, item)

    def _object(self, raw: msgspec.Raw) -> T | Broken:
        try:
            return self.decode(bytes(raw))
        except msgspec.ValidationError as error:
            metadata = _METADATA.decode(raw).metadata
            return Broken(Key(metadata.namespace, metadata.name), metadata.resource_version, str(error))


_CODECS: dict[type[Any], Codec[Any]] = {}


def codec(type: type[T]) -> Codec[T]:
    """The codec of a type, made once."""
    found = _CODECS.get(type)
    if found is None:
        found = _CODECS[type] = Codec(type)
    return found
