"""The webhooks over HTTP: two paths that take an AdmissionReview and answer one."""

from __future__ import annotations

import logging
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as Call
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from controller.kube.admission import decide
from controller.kube.admission.configurations import DEFAULT, VALIDATE
from controller.kube.admission.model import Answer, BadReview, Request, decoded, encoded

log = logging.getLogger(__name__)

BODY_LIMIT = 8 << 20  # bytes: the API server takes 3 MiB of an object, and sends it twice for an update
Judge = Callable[[Request, decide.Holder], Answer]


def create_app(holder: decide.Holder) -> Starlette:
    """The ASGI application, to be served over TLS. `holder` as in `decide`; it must know all Functions when it is asked."""
    return Starlette(
        routes=[
            Route(VALIDATE, _endpoint(decide.validated, holder), methods=["POST"]),
            Route(DEFAULT, _endpoint(decide.default, holder), methods=["POST"]),
        ],
        exception_handlers={BadReview: _bad},
    )


def _endpoint(judge: Judge, holder: decide.Holder) -> Callable[[Call], object]:
    async def endpoint(call: Call) -> Response:
        request = decoded(await _body(call))
        answer = judge(request, holder)
        if answer.status:
            what = f"{request.kind.kind} {request.namespace}/{request.name}"
            log.info("%s: %s by %s refused: %s", what, request.operation, request.user_info.username, answer.status.message)
        return Response(encoded(request.uid, answer), media_type="application/json")

    return endpoint


async def _body(call: Call) -> bytes:
    pieces, count = [], 0
    async for piece in call.stream():
        count += len(piece)
        if count > BODY_LIMIT:
            raise HTTPException(413, f"a review of more than {BODY_LIMIT >> 20} MiB is not read")
        pieces.append(piece)
    return b"".join(pieces)


async def _bad(call: Call, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 400)
