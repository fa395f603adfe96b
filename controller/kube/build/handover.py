"""Hands large sources out of the registry to a build's init container, once for each build, by a URL that nobody can guess.

The token is in the Secret of the build, and that it was used is noted there: a controller that was restarted, or another replica
of it, goes on where this one was. A transfer that was broken off may be begun again; one that came to its last piece may not.
"""

from __future__ import annotations

import base64
import hmac
import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from controller.documents import rfc3339
from controller.kube.build import names
from controller.kube.build.names import MANAGER
from controller.kube.build.registry import Registry, RegistryError
from controller.kube.build.settings import BuildSettings
from controller.kube.build.sources import KubeSourceStore
from kube.client import Client
from kube.errors import KubeError, NotFound
from kube.resource import SECRETS

log = logging.getLogger(__name__)

PATH = "/sources"
_TOLD = {401: 424, 403: 424, 404: 404}  # the registry's answer -> ours, by which the init container tells one from another


def one_time_url(settings: BuildSettings, key: str) -> str:
    """A fresh URL for the source of a build, to be kept in the build's Secret."""
    return f"{settings.handover.rstrip('/')}{PATH}/{key}/{secrets.token_urlsafe(32)}"


class Handover:
    """An ASGI application, `app`, or the `routes` to mount in another; no authentication but the token."""

    def __init__(self, client: Client, settings: BuildSettings, registry: Registry, sources: KubeSourceStore) -> None:
        self._client, self._namespace = client, settings.namespace
        self._registry, self._sources = registry, sources
        self.routes = [Route(f"{PATH}/{{key}}/{{token}}", self._give, methods=["GET"])]
        self.app = Starlette(routes=self.routes)

    async def _give(self, request: Request) -> Response:
        key, token = request.path_params["key"], request.path_params["token"]
        try:
            secret = await self._client.get(SECRETS, names.job_name(key), self._namespace)
        except NotFound:
            return PlainTextResponse("there is no such build\n", 404)
        except KubeError as error:
            log.warning("build %s: its source cannot be handed out: %s", key, error)
            return PlainTextResponse("the cluster cannot be asked now\n", 503, {"Retry-After": "2"})
        if not hmac.compare_digest(_token(secret).encode(), token.encode()):
            return PlainTextResponse("that is not this build's URL\n", 403)
        noted = secret["metadata"].get("annotations") or {}
        if names.FETCHED_AT in noted:
            return PlainTextResponse("the source was handed out already\n", 410)
        return await self._stream(key, noted.get(names.SOURCE, ""))

    async def _stream(self, key: str, digest: str) -> Response:
        stored = await self._sources.find(digest)
        if stored is None or not stored.manifest:
            return PlainTextResponse("the source is not kept any more\n", 404)
        stack = AsyncExitStack()
        try:
            size, content = await stack.enter_async_context(self._registry.pull(self._sources.repository, stored.manifest))
        except RegistryError as error:
            await stack.aclose()
            log.warning("build %s: its source cannot be read: %s", key, error)
            return PlainTextResponse(f"{error}\n", _TOLD.get(error.status, 502))
        fields = {"Content-Length": str(size), "Cache-Control": "no-store"}
        return StreamingResponse(self._noted(key, stack, content), 200, fields, "application/gzip")

    async def _noted(self, key: str, stack: AsyncExitStack, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async with stack:
            last = b""
            async for chunk in content:
                if last:
                    yield last
                last = chunk
            await self._note(key)  # before the last piece: who has all of it hangs up at once, and this would be cancelled
            yield last

    async def _note(self, key: str) -> None:
        patch = {"metadata": {"annotations": {names.FETCHED_AT: rfc3339(time.time())}}}
        try:
            await self._client.merge(SECRETS, names.job_name(key), patch, self._namespace, manager=MANAGER)
        except KubeError as error:
            # The build has its source; that the URL would work once more is not worth failing it.
            log.warning("build %s: that its source was handed out cannot be noted: %s", key, error)


def _token(secret: dict[str, Any]) -> str:
    url = base64.b64decode((secret.get("data") or {}).get("url", "")).decode()
    return url.rpartition("/")[2] or secrets.token_urlsafe(32)  # one without a URL matches nothing
