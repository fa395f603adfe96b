"""The image registry, as far as the controller itself talks to it: sources as artifacts, whether an image is there, deleting one.

OCI distribution spec 1.1; credentials as in a docker config.json, sent as Basic, or exchanged for a token where the registry
asks for that (RFC 6750, distribution's "Token Authentication").
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import httpx2

SOURCE_TYPE = "application/vnd.cloudbase.source.v1"
LAYER_TYPE = "application/vnd.cloudbase.source.layer.v1.tar+gzip"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_ACCEPTED = ", ".join(
    (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.index.v1+json")
)
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_CHUNK = 1 << 20
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}

Credentials = Callable[[], Awaitable[Mapping[str, str]]]  # host -> "Basic …" value


class RegistryError(Exception):
    """The registry did not do what was asked; says what and why. `away`: it may pass; `status`: of its answer, 0 = none."""

    def __init__(self, message: str, away: bool = False, status: int = 0) -> None:
        super().__init__(message)
        self.away, self.status = away, status


class Registry:
    """One registry, named as in an image's name: host[:port]."""

    def __init__(
        self, host: str, credentials: Credentials, *, insecure: bool = False, ca: str = "", timeout: float = 30.0
    ) -> None:
        """`timeout` in seconds for connecting and for each piece of a body; `ca` is PEM."""
        self.host = host
        self._credentials = credentials
        self._url = f"{'http' if insecure else 'https'}://{_DOCKER_HUB.get(host, host)}"
        verify = ssl.create_default_context(cadata=ca or None)
        self._http = httpx2.AsyncClient(timeout=timeout, verify=verify, trust_env=False, follow_redirects=True)
        self._tokens: dict[str, str] = {}

    async def close(self) -> None:
        await self._http.aclose()

    async def push(self, repository: str, tag: str, content: bytes) -> str:
        """Keep `content` as an artifact; returns the digest of its manifest. Raises RegistryError."""
        layer = await self._push_blob(repository, content)
        config = await self._push_blob(repository, _EMPTY)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": SOURCE_TYPE,
            "config": {"mediaType": _EMPTY_TYPE, "digest": config, "size": len(_EMPTY)},
            "layers": [{"mediaType": LAYER_TYPE, "digest": layer, "size": len(content)}],
        }
        body = json.dumps(manifest).encode()
        await self._ask("PUT", repository, f"manifests/{tag}", body, {"Content-Type": MANIFEST_TYPE}, expect=(201,))
        return _digest(body)

    @asynccontextmanager
    async def pull(self, repository: str, digest: str) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Size and content of an artifact that `push` kept. Raises RegistryError, also while it is read."""
        reply = await self._ask("GET", repository, f"manifests/{digest}", fields={"Accept": _ACCEPTED}, expect=(200,))
        layer = reply.json()["layers"][0]
        url = f"{self._url}/v2/{repository}/blobs/{layer['digest']}"
        fields = await self._authorized(repository, reply)
        try:
            async with self._http.stream("GET", url, headers=fields) as body:
                _check(body, "GET", url, (200,))
                yield int(layer["size"]), body.aiter_bytes(_CHUNK)
        except httpx2.TransportError as error:
            raise self._away(error) from error

    async def has(self, repository: str, reference: str) -> bool:
        """Whether there is such a tag or digest. Raises RegistryError."""
        reply = await self._ask("HEAD", repository, f"manifests/{reference}", fields={"Accept": _ACCEPTED}, expect=(200, 404))
        return reply.status_code == 200

    async def delete(self, repository: str, digest: str) -> bool:
        """Delete a manifest; False when the registry does not allow that or has none such. Raises RegistryError."""
        reply = await self._ask("DELETE", repository, f"manifests/{digest}", expect=(202, 404, 405))
        return reply.status_code == 202

    # --- how ---

    async def _push_blob(self, repository: str, content: bytes) -> str:
        digest = _digest(content)
        if (await self._ask("HEAD", repository, f"blobs/{digest}", expect=(200, 404))).status_code == 200:
            return digest
        begun = await self._ask("POST", repository, "blobs/uploads/", expect=(202,))
        place = urljoin(str(begun.url), begun.headers["Location"])
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        fields = {"Content-Type": "application/octet-stream", **(await self._authorized(repository, begun))}
        reply = await self._send("PUT", url, content, fields)
        _check(reply, "PUT", url, (201,))
        return digest

    async def _ask(
        self, method: str, repository: str, path: str, content: bytes = b"", fields: Mapping[str, str] | None = None, *,
        expect: tuple[int, ...],
    ) -> httpx2.Response:  # fmt: skip
        url = f"{self._url}/v2/{repository}/{path}"
        own = dict(fields or {})
        reply = await self._send(method, url, content, own | self._remembered(repository))
        if reply.status_code == 401:
            reply = await self._send(method, url, content, own | await self._answer(repository, reply))
        _check(reply, method, url, expect)
        return reply

    async def _send(self, method: str, url: str, content: bytes, fields: Mapping[str, str]) -> httpx2.Response:
        try:
            return await self._http.request(method, url, content=content or None, headers=fields)
        except httpx2.TransportError as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> RegistryError:
        return RegistryError(f"the image registry {self.host} could not be reached: {error or type(error).__name__}", away=True)

    # --- who we are ---

    def _remembered(self, repository: str) -> dict[str, str]:
        found = self._tokens.get(repository)
        return {"Authorization": found} if found else {}

    async def _authorized(self, repository: str, reply: httpx2.Response) -> dict[str, str]:
        used = reply.request.headers.get("Authorization")
        return {"Authorization": used} if used else self._remembered(repository)

    async def _answer(self, repository: str, refused: httpx2.Response) -> dict[str, str]:
        """What to send to a registry that asked who we are."""
        basic = (await self._credentials()).get(self.host, "")
        kind, _, rest = refused.headers.get("WWW-Authenticate", "").partition(" ")
        if kind.lower() == "bearer":
            token = await self._token(dict(_CHALLENGE.findall(rest)), repository, basic)
            self._tokens[repository] = f"Bearer {token}"
        elif basic:
            self._tokens[repository] = basic
        return self._remembered(repository)

    async def _token(self, challenge: Mapping[str, str], repository: str, basic: str) -> str:
        query = {"scope": f"repository:{repository}:pull,push,delete"}
        query |= {"service": challenge["service"]} if "service" in challenge else {}
        fields = {"Authorization": basic} if basic else {}
        url = challenge.get("realm", "")
        try:
            reply = await self._http.get(url, params=query, headers=fields)
        except (httpx2.TransportError, httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise self._away(error) from error
        _check(reply, "GET", url, (200,))
        content = reply.json()
        return str(content.get("token") or content.get("access_token") or "")


def basic_credentials(config: bytes) -> dict[str, str]:
    """host -> Basic value, from a docker config.json. Raises ValueError when it is none."""
    auths: dict[str, Any] = json.loads(config).get("auths") or {}
    return {_host(name): f"Basic {_pair(entry)}" for name, entry in auths.items() if _pair(entry)}


def _pair(entry: Mapping[str, str]) -> str:
    if entry.get("auth"):
        return entry["auth"]
    if entry.get("username"):
        return base64.b64encode(f"{entry['username']}:{entry.get('password', '')}".encode()).decode()
    return ""


def _host(name: str) -> str:
    """Docker writes its own registry as "https://index.docker.io/v1/"."""
    host = name.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host in _DOCKER_HUB else host


def _check(reply: httpx2.Response, method: str, url: str, expect: tuple[int, ...]) -> None:
    code = reply.status_code
    if code in expect:
        return
    what = f"{method} {url} was answered with {code}"
    if code in (401, 403):
        raise RegistryError(f"the image registry wants other credentials: {what}", status=code)
    raise RegistryError(f"the image registry refuses: {what}", code >= 500 or code == 429, code)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
