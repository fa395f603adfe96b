"""The shapes of ASGI 3 (https://asgi.readthedocs.io), which every form of function is brought to."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Callable
from urllib.parse import unquote_to_bytes

from _cloudbase_runtime.http1 import Head

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Address = tuple[str, int]


def scope_of(head: Head, kind: str, server: tuple[str, Any], state: dict[str, Any]) -> Scope:
    """The scope of a request ("http" or "websocket"). X-Forwarded-* fields are believed: the router sets them itself."""
    raw, _, query = head.target.partition(b"?")
    if not raw.startswith(b"/"):  # absolute-form; "*" of OPTIONS stays
        raw = b"/" + raw.split(b"://", 1)[-1].partition(b"/")[2] if b"://" in raw else raw
    scheme = (head.get(b"x-forwarded-proto") or b"http").decode("latin-1")
    scope: Scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": head.version,
        "scheme": scheme if kind == "http" else {"https": "wss"}.get(scheme, "ws"),
        "path": unquote_to_bytes(raw).decode("utf-8", "replace"),
        "raw_path": raw,
        "query_string": query,
        "root_path": (head.get(b"x-forwarded-prefix") or b"").decode("latin-1"),
        "headers": head.fields,
        "client": _client(head),
        "server": server,
        "state": state.copy(),
    }
    if kind == "http":
        scope["method"] = head.method
    return scope


def _client(head: Head) -> Address | None:
    forwarded = (head.get(b"x-forwarded-for") or b"").split(b",", 1)[0].strip()
    return (forwarded.decode("latin-1"), 0) if forwarded else None
