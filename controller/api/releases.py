"""The API's verbs on what a function runs: its revisions, releasing what was built, going back, starting anew."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from controller import rollback
from controller.api import bodies
from controller.api.scope import Scope
from controller.api.view import revisions, view
from controller.documents import rfc3339
from controller.errors import FieldError, Invalid
from controller.model import Function
from controller.ports import FunctionStore

BODY_LIMIT = 4096  # bytes


class RollbackDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the traffic goes."""

    revision: str = ""  # a revision's name, "newest", or "" for the one before


class Releases:
    """Endpoints on revisions and traffic."""

    def __init__(self, store: FunctionStore, scope: Scope, clock: Callable[[], float] = time.time) -> None:
        self._store, self._scope, self._clock = store, scope, clock

    async def list(self, request: Request) -> Response:
        function = self._scope.found(self._store, request)
        return _json(revisions(function, self._store.revisions(function.project, function.name)), 200)

    async def deploy(self, request: Request) -> Response:
        """Release what was built and waits; nothing changes where nothing waits."""
        function = self._scope.found(self._store, request)
        released = await self._store.release(function.project, function.name)
        return _json(view(released or function))

    async def rollback(self, request: Request) -> Response:
        function = self._scope.found(self._store, request)
        kept = self._store.revisions(function.project, function.name)
        spec = rollback.spec(function, kept, _asked(await bodies.read(request, BODY_LIMIT)))
        return _json(view(await self._store.apply(function.project, function.name, spec)))

    async def redeploy(self, request: Request) -> Response:
        """A new revision of the same artifact: new processes, which read their Secrets anew."""
        function: Function = self._scope.found(self._store, request)
        spec = replace(function.spec, restart=rfc3339(self._clock()))
        return _json(view(await self._store.apply(function.project, function.name, spec)))


def _asked(body: bytes) -> str:
    """The revision in a RollbackDocument; none without a body. Raises Invalid, HTTPException 400."""
    document = bodies.json(body) if body else {}
    try:
        return msgspec.convert(document, RollbackDocument).revision
    except msgspec.ValidationError as error:
        raise Invalid([FieldError("body", f'must be {{"revision": NAME}}: {error}')]) from error


def _json(document: msgspec.Struct, status: int = 202) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
