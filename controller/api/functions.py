"""The API's verbs on functions: list, get, put, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from controller import validate
from controller.api import bodies
from controller.api.scope import Scope
from controller.api.view import FunctionList, view
from controller.archive import Limits
from controller.errors import Conflict, FieldError, Invalid
from controller.model import Function, FunctionSpec
from controller.ports import FunctionStore, SourceStore

UNPACKING = 2  # sources checked at a time: each takes some 300 MiB of memory at the limits' defaults
Holder = Callable[[str, str], str]  # namespace, name -> who else answers at that address; "" = nobody
Check = Callable[[str, FunctionSpec], list[FieldError]]  # name, spec -> everything about it that cannot work
_TO_COME = f"sha256:{'0' * 64}"  # stands for a source that is stored when all else is found right


class Functions:
    """Endpoints on the documents."""

    def __init__(
        self, store: FunctionStore, sources: SourceStore, limits: Limits, scope: Scope, check: Check, holder: Holder
    ) -> None:
        self._store, self._sources, self._limits = store, sources, limits
        self._scope, self._check, self._holder = scope, check, holder
        self._unpacking = asyncio.Semaphore(UNPACKING)

    async def list(self, request: Request) -> Response:
        return json(FunctionList(items=[view(each) for each in self._store.list(self._scope.listed(request))]))

    async def get(self, request: Request) -> Response:
        return json(view(self._scope.found(self._store, request)))

    async def put(self, request: Request) -> Response:
        """Create or update. What is wrong is found before anything is stored."""
        project, name = self._scope.namespace(request), request.path_params["name"]
        if problem := validate.label(name):
            raise Invalid([FieldError("name", problem)])
        spec, keep, generation = await self._asked(request)
        before = self._store.get(project, name)
        if not before and (other := self._holder(project, name)):
            raise Invalid([validate.taken(other)])
        if before and before.deleting:
            raise Conflict(f'function "{name}" is being deleted: wait until it is gone, then create it again')
        spec = await self._with_source(name, spec, keep, before)
        function = await self._store.apply(project, name, spec, generation)
        headers = {"Location": request.url.path}
        return json(view(function), 200, None) if before else json(view(function), 201, headers)

    async def delete(self, request: Request) -> Response:
        function = self._scope.found(self._store, request)
        await self._store.mark_deleting(function.project, function.name)
        return json(view(replace(function, deleting=True)), 202)

    async def _asked(self, request: Request) -> tuple[FunctionSpec, Callable[[], Awaitable[str]] | None, int]:
        """The spec, what stores the source that came with it, and the generation that it was made of (0 = of any)."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            document, files, generation = bodies.document(await bodies.read(request, self._limits.archive_bytes))
            keep = None if files is None else lambda: self._sources.put(files)
            return validate.decode(document), keep, generation
        if kind in ("application/gzip", "application/x-gzip"):
            spec = validate.decode(bodies.spec_header(request))  # before the body: what is wrong is told at once
            archive = await bodies.read(request, self._limits.archive_bytes)
            return spec, lambda: self._sources.put_archive(archive), 0
        raise HTTPException(415, f'Content-Type "{kind}" is not accepted: send application/json or application/gzip')

    async def _with_source(
        self, name: str, spec: FunctionSpec, keep: Callable[[], Awaitable[str]] | None, before: Function | None
    ) -> FunctionSpec:
        """The spec, found right, with the digest of its source, which is stored. Raises Invalid, BadSource."""
        if keep:
            spec = replace(spec, source=_TO_COME)
        elif not (spec.source or spec.image or spec.git) and before:
            spec = replace(spec, source=before.spec.source)
        if before and not spec.restart:
            spec = replace(spec, restart=before.spec.restart)
        if errors := self._check(name, spec):
            raise Invalid(errors)
        if keep:
            async with self._unpacking:
                return replace(spec, source=await keep())
        if spec.source and not await self._sources.has(spec.source):
            raise Invalid([FieldError("source", f"{spec.source} is not stored here: send the function's files along")])
        return spec


def json(document: msgspec.Struct, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), status, headers, "application/json")
