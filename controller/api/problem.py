"""Every error of the API as problem+json (RFC 9457): one place turns exceptions into what the client reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from controller.errors import (
    BadSource,
    Conflict,
    ControllerError,
    FieldError,
    Invalid,
    NoReplica,
    Overtaken,
    SourceTooLarge,
    StoreFailed,
)

MEDIA_TYPE = "application/problem+json"
URN = "urn:cloudbase:problem:"
_KINDS: Sequence[tuple[type[ControllerError], int, str]] = (  # the first that fits
    (Invalid, 422, "invalid-function"),
    (SourceTooLarge, 413, "source-too-large"),
    (BadSource, 422, "bad-source"),
    (NoReplica, 404, "no-such-replica"),
    (Overtaken, 409, "overtaken"),
    (Conflict, 409, "conflict"),
    (StoreFailed, 503, "store-failed"),
    (ControllerError, 500, "failed"),
)


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, as of RFC 9457."""

    type: str = "about:blank"  # or urn:cloudbase:problem:<kind>
    title: str
    status: int
    detail: str = ""  # what was wrong, where, and what to do
    errors: list[FieldError] = []  # one for each field that is wrong


def answer(
    status: int, detail: str, kind: str = "", errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The response that tells a problem."""
    title = HTTPStatus(status).phrase
    problem = Problem(
        type=f"{URN}{kind}" if kind else "about:blank", title=title, status=status, detail=detail, errors=list(errors)
    )
    return Response(msgspec.json.encode(problem), status, headers, MEDIA_TYPE)


async def _controller(request: Request, error: Exception) -> Response:
    assert isinstance(error, ControllerError)
    status, kind = next((status, kind) for known, status, kind in _KINDS if isinstance(error, known))
    errors = error.errors if isinstance(error, Invalid) else ()
    headers = {"Retry-After": "1"} if isinstance(error, Conflict) else None
    return answer(status, str(error), kind, errors, headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        detail = {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not possible here"}.get(
            error.status_code, detail
        )
    return answer(error.status_code, detail, headers=error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return answer(400, "the request broke off")  # nobody is there to read it


async def _unexpected(request: Request, error: Exception) -> Response:
    return answer(500, "the platform failed at this request; its log says why")


HANDLERS: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    ControllerError: _controller,
    HTTPException: _http,
    ClientDisconnect: _gone,
    Exception: _unexpected,
}
