"""What a handler is given and what it may return: Request, Response, and the rules that bring other values to a Response."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from typing import Any, Union
from urllib.parse import parse_qs, unquote

Body = Union[bytes, Iterable[Any], AsyncIterable[Any]]


class Headers(Mapping[str, str]):
    """Fields by name, whatever its case. A name that came more than once gives its values joined by a comma."""

    def __init__(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self._fields[key] = f"{self._fields[key]}, {text}" if key in self._fields else text

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


class Request:
    """One request, whole."""

    def __init__(self, method: str, path: str, query_string: str, headers: Headers, body: bytes) -> None:
        self.method = method
        self.path = path  # decoded
        self.query_string = query_string  # as it came
        self.headers = headers
        self.body = body

    @property
    def query(self) -> dict[str, str]:
        """Name -> its last value."""
        return {name: values[-1] for name, values in self.query_all.items()}

    @property
    def query_all(self) -> dict[str, list[str]]:
        """Name -> all its values."""
        return parse_qs(self.query_string, keep_blank_values=True)

    @property
    def id(self) -> str:
        """The router's X-Request-Id, or ""."""
        return self.headers.get("x-request-id", "")

    @property
    def content_type(self) -> str:
        """The media type in lower case, without its parameters."""
        return self.headers.get("content-type", "").split(";", 1)[0].strip().lower()

    @property
    def text(self) -> str:
        """The body in the charset that Content-Type names, UTF-8 else. Raises UnicodeDecodeError."""
        for parameter in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                return self.body.decode(value.strip().strip('"'))
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    @property
    def event(self) -> dict[str, Any] | None:
        """The CloudEvent (1.0, HTTP binding) that the request carries, binary or structured; None when it carries none."""
        if self.content_type == "application/cloudevents+json":
            return _structured(self.json())
        if "ce-specversion" not in self.headers:
            return None
        event: dict[str, Any] = {name[3:]: unquote(value) for name, value in self.headers.items() if name.startswith("ce-")}
        if "content-type" in self.headers:
            event["datacontenttype"] = self.headers["content-type"]
        if self.body:
            event["data"] = self._data()
        return event

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every CloudEvent of a batch, or the one there is."""
        if self.content_type == "application/cloudevents-batch+json":
            return [_structured(event) for event in self.json()]
        return [] if self.event is None else [self.event]

    def _data(self) -> Any:
        kind = self.content_type or "application/json"
        if kind == "application/json" or kind.endswith("+json"):
            return self.json()
        return self.text if kind.startswith("text/") else self.body


def _structured(event: dict[str, Any]) -> dict[str, Any]:
    if "data_base64" in event:
        event = {**event, "data": base64.b64decode(event["data_base64"])}
        del event["data_base64"]
    return event


class Response:
    """An answer: `body` is anything that a handler may return, but a tuple or a Response."""

    def __init__(
        self,
        body: Any = None,
        status: int | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        content_type: str = "",
    ) -> None:
        kind, self.body = _body(body)
        self.status = status if status is not None else (204 if body is None else 200)
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        self.headers = [(name, str(value)) for name, value in pairs]
        names = {name.lower() for name, _ in self.headers}
        if (content_type or kind) and "content-type" not in names:
            self.headers.append(("content-type", content_type or kind))
        if isinstance(self.body, bytes) and self.status not in (204, 304) and "content-length" not in names:
            self.headers.append(("content-length", str(len(self.body))))

    @classmethod
    def of(cls, value: Any) -> Response:
        """The answer that a returned value means. Raises TypeError for one that means none."""
        if isinstance(value, Response):
            return value
        if isinstance(value, tuple):
            if not 2 <= len(value) <= 3 or not isinstance(value[1], int):
                raise TypeError("a tuple must be (body, status) or (body, status, headers)")
            return cls(*value)
        status = getattr(value, "status_code", None) or getattr(value, "status", None)
        if isinstance(status, int) and hasattr(value, "body"):
            return cls(value.body, status, getattr(value, "headers", ()))
        return cls(value)


def _body(value: Any) -> tuple[str, Body]:
    """Content type and bytes (or pieces) of a returned value."""
    if value is None:
        return "", b""
    if isinstance(value, str):
        return "text/plain; charset=utf-8", value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "application/octet-stream", bytes(value)
    if isinstance(value, (dict, list, int, float)):
        return "application/json", json.dumps(value, ensure_ascii=False).encode()
    if isinstance(value, (Iterable, AsyncIterable)):
        return "application/octet-stream", value
    raise TypeError(
        f"a handler cannot return {type(value).__name__}; str, bytes, dict, list, (body, status) or an iterator are possible"
    )


def piece(value: Any) -> bytes:
    """One piece of a streamed body. Raises TypeError."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"an iterator of a body must give str or bytes, gave {type(value).__name__}")
