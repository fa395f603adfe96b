"""Answers of our own as problem+json (RFC 9457): the one place that turns an error into a head and a body."""

from __future__ import annotations

import json
import math

from router.errors import LastHop, ProxyError

_ESCAPES = str.maketrans({"\r": " ", "\n": " "})


def render(error: ProxyError, request_id: str = "") -> tuple[bytes, bytes]:
    """Status line and field lines (each with its CRLF, no Date, no Connection line, no empty line), and the body."""
    if error.status == LastHop.status:
        return f"HTTP/1.1 {error.status} {error.title}\r\nAllow: {error.allow}\r\n".encode(), b""
    document: dict[str, object] = {
        "type": f"urn:cloudbase:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if request_id:
        document["requestId"] = request_id
    more = f"Allow: {error.allow}\r\n" if error.allow else ""
    if error.retry_after > 0:
        document["retryAfter"] = seconds = math.ceil(error.retry_after)
        more += f"Retry-After: {seconds}\r\n"
    body = json.dumps(document, ensure_ascii=False).translate(_ESCAPES).encode() + b"\n"
    head = (
        f"HTTP/1.1 {error.status} {error.title}\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n{more}"
    )
    return head.encode(), body
