"""An image registry in memory for tests: as much of the OCI distribution spec as a client pushes, pulls and deletes with."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

USER, PASSWORD = "me", "right"
BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
TOKEN = "a-token"


class MemoryRegistry:
    """ASGI. `auth`: nobody is asked, a password is, or a token that is got for one (as at Docker Hub)."""

    def __init__(self, auth: Literal["", "basic", "bearer"] = "", deletes: bool = True) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], bytes] = {}  # repository, digest or tag
        self._parts: dict[str, bytes] = {}  # of uploads that have begun
        self.failing = 0  # status that everything is answered with, 0 = well
        self._auth, self._deletes = auth, deletes
        self._app = Starlette(
            routes=[
                Route("/v2/", self._hello),
                Route("/token", self._token),
                Route("/v2/{repository:path}/blobs/uploads/", self._begin, methods=["POST"]),
                Route("/v2/{repository:path}/blobs/uploads/{place}", self._upload, methods=["PUT", "PATCH"]),
                Route("/v2/{repository:path}/blobs/{digest}", self._blob, methods=["GET", "HEAD"]),
                Route("/v2/{repository:path}/manifests/{reference}", self._manifest, methods=["GET", "HEAD", "PUT", "DELETE"]),
            ]
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope)
        answer = Response(status_code=self.failing) if self.failing else self._refusal(request)
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        wanted = {"": None, "basic": BASIC, "bearer": f"Bearer {TOKEN}"}[self._auth]
        if wanted is None or request.url.path == "/token" or request.headers.get("authorization") == wanted:
            return None
        realm = f"{request.base_url}token"
        challenge = f'Bearer realm="{realm}",service="test"' if self._auth == "bearer" else 'Basic realm="test"'
        return Response(status_code=401, headers={"WWW-Authenticate": challenge})

    async def _hello(self, request: Request) -> Response:
        return JSONResponse({})

    async def _token(self, request: Request) -> Response:
        if request.headers.get("authorization") != BASIC or request.query_params["service"] != "test":
            return Response(status_code=401)
        return JSONResponse({"token": TOKEN})

    async def _begin(self, request: Request) -> Response:
        self._parts[place := f"{len(self._parts)}"] = b""
        return Response(status_code=202, headers={"Location": f"{request.url.path}{place}?state=x"})

    async def _upload(self, request: Request) -> Response:
        place = request.path_params["place"]
        content = self._parts[place] = self._parts[place] + await request.body()
        if request.method == "PATCH":
            return Response(status_code=202, headers={"Location": f"{request.url.path}?state=x"})
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if request.query_params["digest"] != digest or request.query_params["state"] != "x":
            return Response(status_code=400)
        self.blobs[digest] = content
        return Response(status_code=201)

    async def _blob(self, request: Request) -> Response:
        content = self.blobs.get(request.path_params["digest"])
        return Response(status_code=404) if content is None else Response(content)

    async def _manifest(self, request: Request) -> Response:
        key = (request.path_params["repository"], request.path_params["reference"])
        if request.method == "PUT":
            content = await request.body()
            self.manifests[key] = self.manifests[(key[0], f"sha256:{hashlib.sha256(content).hexdigest()}")] = content
            return Response(status_code=201)
        if key not in self.manifests:
            return Response(status_code=404)
        if request.method == "DELETE":
            if not self._deletes:
                return Response(status_code=405)
            gone = self.manifests[key]
            self.manifests = {each: content for each, content in self.manifests.items() if content != gone}
            return Response(status_code=202)
        return Response(self.manifests[key], media_type="application/vnd.oci.image.manifest.v1+json")
