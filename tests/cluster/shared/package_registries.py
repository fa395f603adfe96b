"""A small npm registry and a small Python index for builds, each with one package; npm's may ask for a token."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

NPM_PACKAGE, NPM_VERSION = "shout", "1.0.0"
PIP_PACKAGE, PIP_VERSION = "shoutpy", "1.0.0"


def npm_registry(token: str = "") -> Starlette:
    """The routes that `npm install` needs; with a token, 401 for whoever does not send it."""
    tarball = _npm_tarball()

    async def package(request: Request) -> Response:
        if refused := _refused(request, token):
            return refused
        url = f"{request.base_url}{NPM_PACKAGE}/-/{NPM_PACKAGE}-{NPM_VERSION}.tgz"
        dist = {"tarball": url, "shasum": hashlib.sha1(tarball).hexdigest()}
        version = {"name": NPM_PACKAGE, "version": NPM_VERSION, "main": "index.js", "dist": dist}
        return JSONResponse({"name": NPM_PACKAGE, "dist-tags": {"latest": NPM_VERSION}, "versions": {NPM_VERSION: version}})

    async def content(request: Request) -> Response:
        return _refused(request, token) or Response(tarball, media_type="application/octet-stream")

    async def unknown(request: Request) -> Response:
        return _refused(request, token) or JSONResponse({"error": "Not found"}, 404)

    return Starlette(
        routes=[
            Route(f"/{NPM_PACKAGE}", package),
            Route(f"/{NPM_PACKAGE}/-/{{file}}", content),
            Route("/{rest:path}", unknown, methods=["GET", "POST"]),
        ]
    )


def pip_index() -> Starlette:
    """PEP 503's simple index at /simple/."""
    name, wheel = _wheel()
    digest = hashlib.sha256(wheel).hexdigest()

    async def project(request: Request) -> Response:
        return HTMLResponse(f'<a href="/files/{name}#sha256={digest}">{name}</a>')

    async def content(request: Request) -> Response:
        return Response(wheel, media_type="application/octet-stream")

    return Starlette(routes=[Route(f"/simple/{PIP_PACKAGE}/", project), Route("/files/{name}", content)])


def _refused(request: Request, token: str) -> Response | None:
    if token and request.headers.get("authorization") != f"Bearer {token}":
        return JSONResponse({"error": "unauthorized"}, 401)
    return None


def _npm_tarball() -> bytes:
    packed = io.BytesIO()
    files = {
        "package/package.json": json.dumps({"name": NPM_PACKAGE, "version": NPM_VERSION, "main": "index.js"}),
        "package/index.js": "module.exports = text => text.toUpperCase()\n",
    }
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def _wheel() -> tuple[str, bytes]:
    packed, info = io.BytesIO(), f"{PIP_PACKAGE}-{PIP_VERSION}.dist-info"
    files = {
        f"{PIP_PACKAGE}.py": "def shout(text):\n    return text.upper()\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PIP_PACKAGE}\nVersion: {PIP_VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return f"{PIP_PACKAGE}-{PIP_VERSION}-py3-none-any.whl", packed.getvalue()
