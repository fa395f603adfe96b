"""Verbs of the Kubernetes API on typed resources: get, list, watch, create, replace, delete, apply, merge, scale."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import msgspec

from kube.access import Access
from kube.codec import Page, codec
from kube.errors import Attempt, Gone, ServerError, Status, TooManyRequests, Unauthorized, Unreachable, refusal
from kube.model import Scale
from kube.resource import Resource
from kube.transport import Reply, Request, Stream, Transport
from kube.watch import EVERYTHING, Scope, Watch

T = TypeVar("T")
Body = Mapping[str, Any] | msgspec.Struct  # an object or a patch: a dict as in a manifest, or one of our structs

PAGE_SIZE = 500  # objects in one list request, as client-go's reflector asks for
SHED_RETRIES = 3  # times that a request is sent again after 429; it was refused before anything was done
SHED_LIMIT = 5.0  # seconds that we are ready to wait for that
JSON = "application/json"
APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML
MERGE_PATCH = "application/merge-patch+json"

_decode_status = msgspec.json.Decoder(Status).decode
_encode = msgspec.json.Encoder().encode


class Client:
    """One API server, as one user. Close it, or use it as an async context manager."""

    def __init__(self, access: Access, agent: str = "cloudbase", timeout: float = 30.0) -> None:
        """`agent` shows in the audit log; `timeout` is for a whole request, in seconds."""
        self.access = access
        self.answers: Counter[tuple[str, str]] = Counter()  # by verb and status; "none" where there was no answer
        self._transport = Transport(access, agent)
        self._timeout = timeout

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    # --- reading ---

    async def get(self, resource: Resource[T], name: str, namespace: str = "") -> T:
        attempt = Attempt("get", resource.title, _object(namespace, name))
        return self._decode(attempt, await self._send(attempt, "GET", resource.path(namespace, name)), resource.struct)

    async def list(self, resource: Resource[T], scope: Scope = EVERYTHING) -> list[T]:
        """All of them, page by page. When the list changes so fast that it expires, it is taken in one page."""
        try:
            pages = [page async for page in self.pages(resource, scope)]
        except Gone:
            pages = [page async for page in self.pages(resource, scope, size=0)]
        for broken in (broken for page in pages for broken in page.broken):
            attempt = Attempt("list", resource.title, str(scope))
            raise ServerError(attempt, 200, Status(message=f"{'/'.join(broken.key)}: {broken.message}"))
        return [item for page in pages for item in page.items]

    async def pages(
        self, resource: Resource[T], scope: Scope, size: int = PAGE_SIZE, continue_token: str = ""
    ) -> AsyncGenerator[Page[T], None]:
        """Pages of one consistent list, from a token on if there is one; `size` 0 asks for a single page.

        Raises Gone when the list expires on the way.
        """
        attempt = Attempt("list", resource.title, str(scope))
        token = continue_token
        while True:
            query = scope.query() | ({"limit": str(size)} if size else {}) | ({"continue": token} if token else {})
            reply = await self._send(attempt, "GET", resource.path(scope.namespace), query)
            try:
                page = codec(resource.struct).page(reply.body)
            except msgspec.DecodeError as error:
                raise _nonsense(attempt, reply, error) from error
            yield page
            token = page.continue_token
            if not token:
                return

    @asynccontextmanager
    async def watch(
        self, resource: Resource[T], scope: Scope, resource_version: str, lasting: int, silence: float
    ) -> AsyncIterator[Watch[T]]:
        """Changes after `resource_version` ("": first what exists), with bookmarks.

        The server ends it after `lasting` seconds; without a byte for `silence` seconds it is taken for dead.
        Raises Gone when the version is too old, here or while reading.
        """
        attempt = Attempt("watch", resource.title, str(scope))
        query = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(lasting)} | scope.query()
        if resource_version:
            query["resourceVersion"] = resource_version
        async with self.stream(attempt, resource.path(scope.namespace), query, min(silence, self._timeout)) as stream:
            yield Watch(attempt, stream, resource.struct, silence)

    @asynccontextmanager
    async def stream(self, attempt: Attempt, path: str, query: Mapping[str, str], timeout: float) -> AsyncIterator[Stream]:
        """A GET whose body is read as it comes: a watch, a pod's log. Raises as any request does when it is refused."""
        request = Request(attempt, "GET", _target(path, query), {})
        async with self._transport.stream(request, timeout) as stream:
            self.answers[attempt.verb, str(stream.head.status)] += 1
            if stream.head.status >= 400:
                async with aclosing(stream.chunks(timeout)) as chunks:
                    body = b"".join([chunk async for chunk in chunks])
                if stream.head.status == 401:
                    self.access.rejected()
                raise _refusal(attempt, Reply(stream.head, body))
            yield stream

    # --- writing ---

    async def create(self, resource: Resource[T], body: Body, namespace: str = "", manager: str = "") -> T:
        """Raises AlreadyExists."""
        attempt = Attempt("create", resource.title, _object(namespace, _name_in(body)))
        query = {"fieldManager": manager} if manager else {}
        return await self._write(attempt, "POST", resource.path(namespace), query, _whole(resource, body), JSON, resource.struct)

    async def replace(
        self, resource: Resource[T], name: str, body: Body, namespace: str = "", subresource: str = "", manager: str = ""
    ) -> T:
        """PUT. With `metadata.resourceVersion` in the body, raises Conflict when the object has changed since."""
        attempt = Attempt("update", _title(resource, subresource), _object(namespace, name))
        query = {"fieldManager": manager} if manager else {}
        path = resource.path(namespace, name, subresource)
        return await self._write(attempt, "PUT", path, query, _whole(resource, body), JSON, resource.struct)

    async def apply(
        self, resource: Resource[T], name: str, body: Body, manager: str, namespace: str = "", *, subresource: str = "",
        force: bool = False,
    ) -> T:  # fmt: skip
        """Server-side apply: create the object or make these fields so. Raises ApplyConflict, whose causes name the owners.

        Fields that `manager` applied before and that are missing now are given up.
        """
        attempt = Attempt("patch", _title(resource, subresource), _object(namespace, name))
        query = {"fieldManager": manager} | ({"force": "true"} if force else {})
        path = resource.path(namespace, name, subresource)
        whole = _whole(resource, body)
        whole["metadata"] = {**whole.get("metadata", {}), "name": name}
        return await self._write(attempt, "PATCH", path, query, whole, APPLY_PATCH, resource.struct)

    async def merge(
        self, resource: Resource[T], name: str, patch: Body, namespace: str = "", *, subresource: str = "", manager: str = ""
    ) -> T:
        """JSON merge patch (RFC 7396): null deletes. With `metadata.resourceVersion` in it, raises Conflict when outdated."""
        attempt = Attempt("patch", _title(resource, subresource), _object(namespace, name))
        query = {"fieldManager": manager} if manager else {}
        path = resource.path(namespace, name, subresource)
        return await self._write(attempt, "PATCH", path, query, patch, MERGE_PATCH, resource.struct)

    async def delete(
        self, resource: Resource[T], name: str, namespace: str = "", *, uid: str = "", resource_version: str = "",
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background", grace: int | None = None,
    ) -> None:  # fmt: skip
        """Raises NotFound, and Conflict when uid or resourceVersion are not these. `grace` in seconds, None = the object's."""
        attempt = Attempt("delete", resource.title, _object(namespace, name))
        conditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        options |= {"preconditions": conditions} if conditions else {}
        options |= {} if grace is None else {"gracePeriodSeconds": grace}
        await self._send(attempt, "DELETE", resource.path(namespace, name), body=_encode(options), content_type=JSON)

    async def scale(self, resource: Resource[Any], name: str, namespace: str) -> Scale:
        """The /scale subresource: replicas wanted (spec) and there (status)."""
        attempt = Attempt("get", f"{resource.title}/scale", _object(namespace, name))
        return self._decode(attempt, await self._send(attempt, "GET", resource.path(namespace, name, "scale")), Scale)

    async def scale_to(
        self, resource: Resource[Any], name: str, namespace: str, replicas: int, *, resource_version: str = "", manager: str = ""
    ) -> Scale:
        """Set the replicas wanted. With the object's `resource_version`, raises Conflict when it has changed since."""
        patch: dict[str, Any] = {"spec": {"replicas": replicas}}
        if resource_version:
            patch["metadata"] = {"resourceVersion": resource_version}
        return await self.merge(resource.decoded_as(Scale), name, patch, namespace, subresource="scale", manager=manager)

    # --- how ---

    async def _write(
        self, attempt: Attempt, method: str, path: str, query: Mapping[str, str], body: Body, content_type: str, struct: type[T]
    ) -> T:
        reply = await self._send(attempt, method, path, query, _encode(body), content_type)
        return self._decode(attempt, reply, struct)

    async def _send(
        self, attempt: Attempt, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes = b"",
        content_type: str = "",
    ) -> Reply:  # fmt: skip
        fields = {"Content-Type": content_type} if content_type else {}
        request = Request(attempt, method, _target(path, query or {}), fields, body)
        try:
            return await self._exchange(request)
        except Unauthorized:
            self.access.rejected()
            return await self._exchange(request)

    async def _exchange(self, request: Request) -> Reply:
        for _ in range(SHED_RETRIES):
            try:
                return await self._once(request)
            except TooManyRequests as error:
                if not 0 < error.retry_after <= SHED_LIMIT:
                    raise
                await asyncio.sleep(error.retry_after)
        return await self._once(request)

    async def _once(self, request: Request) -> Reply:
        try:
            reply = await self._transport.exchange(request, self._timeout)
        except Unreachable:
            self.answers[request.attempt.verb, "none"] += 1
            raise
        self.answers[request.attempt.verb, str(reply.head.status)] += 1
        if reply.head.status >= 400:
            raise _refusal(request.attempt, reply)
        return reply

    def _decode(self, attempt: Attempt, reply: Reply, struct: type[T]) -> T:
        try:
            return codec(struct).decode(reply.body)
        except msgspec.DecodeError as error:
            raise _nonsense(attempt, reply, error) from error


def _target(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _object(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _title(resource: Resource[Any], subresource: str) -> str:
    return f"{resource.title}/{subresource}" if subresource else resource.title


def _as_dict(body: Body) -> dict[str, Any]:
    found = msgspec.to_builtins(body)
    assert isinstance(found, dict)
    return found


def _whole(resource: Resource[Any], body: Body) -> dict[str, Any]:
    """With apiVersion and kind, which our structs leave out."""
    return {"apiVersion": resource.api_version, "kind": resource.kind, **_as_dict(body)}


def _name_in(body: Body) -> str:
    metadata = _as_dict(body).get("metadata") or {}
    return str(metadata.get("name") or metadata.get("generateName") or "")


def _refusal(attempt: Attempt, reply: Reply) -> Exception:
    try:
        answer = _decode_status(reply.body)
    except msgspec.DecodeError:
        # A proxy in between, or a server that is starting: the text is all there is.
        answer = Status(message=reply.body[:200].decode("utf-8", "replace").strip())
    error = refusal(attempt, reply.head.status, answer)
    header = reply.head.fields.get("retry-after", "")
    if header.isdigit():
        error.retry_after = float(header)
    return error


def _nonsense(attempt: Attempt, reply: Reply, error: Exception) -> ServerError:
    return ServerError(attempt, reply.head.status, Status(message=f"the answer is not what was asked for: {error}"))
