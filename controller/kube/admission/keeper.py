"""Keeps the webhooks' certificates: in one Secret for all controllers, in the API server's configurations, in the TLS context.

Every controller does all of it, whether it leads or not: the Secret's version decides who of two was first. So webhooks answer
without a lease, and a rotation needs no restart: a context takes a new certificate for the connections that come after.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from controller.kube.admission.configurations import MUTATING, VALIDATING, trusting
from controller.kube.admission.issue import IssueFailed, Order, ordered
from controller.kube.admission.ring import USUAL, Certificate, Lives, Ring, due
from kube.client import Client
from kube.errors import Conflict, KubeError, NotFound
from kube.resource import SECRETS

log = logging.getLogger(__name__)

MANAGER = "cloudbase-controller"
KEY = "ring.json"  # of the Secret: everything; beside it tls.crt and ca.crt, for people and their tools
LOOK = 15.0  # seconds between looks, each three small reads


@dataclass(frozen=True, slots=True)
class Post:
    """Where the certificates are kept and used."""

    namespace: str
    secret: str  # name of the Secret
    configuration: str  # name of both webhook configurations
    names: tuple[str, ...]  # that the API server calls the webhooks by
    lives: Lives = USUAL
    look: float = LOOK  # seconds


class Keeper:
    """Run it in a task; `context` serves from the moment that `ready` is set."""

    def __init__(self, client: Client, post: Post, clock: Callable[[], float] = time.time) -> None:
        self._client, self._post, self._clock = client, post, clock
        self._loaded: Certificate | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Look again and again, for ever. What fails is logged and tried again; what is loaded serves on meanwhile."""
        while True:
            try:
                await self.look()
            except (KubeError, OSError, IssueFailed, msgspec.DecodeError) as error:  # OSError: TimeoutError, SSLError too
                log.warning("certificates of the webhooks: %s", error)
            await asyncio.sleep(self._post.look)

    async def look(self) -> None:
        """Make what is due, write it, have it trusted, serve with it. Raises KubeError, OSError, IssueFailed, DecodeError."""
        ring, version = await self._read()
        if due(ring, self._post.names, self._clock(), self._post.lives):
            ring = await self._renew(ring, version)
        await self._trust(ring)
        if ring.serving is not None and ring.serving != self._loaded:
            self._load(ring.serving)

    async def _read(self) -> tuple[Ring, str]:
        """What is kept, and its version; an empty one before the first."""
        try:
            secret = await self._client.get(SECRETS, self._post.secret, self._post.namespace)
        except NotFound:
            return Ring(), ""
        data = (secret.get("data") or {}).get(KEY, "")
        ring = msgspec.json.decode(base64.b64decode(data), type=Ring) if data else Ring()
        return ring, str(secret["metadata"]["resourceVersion"])

    async def _renew(self, ring: Ring, version: str) -> Ring:
        """A renewed ring, kept; another controller's where that one was quicker."""
        new = await ordered(Order(ring, self._post.names, self._clock(), self._post.lives))
        try:
            await self._keep(new, version)
        except Conflict:
            return (await self._read())[0]
        log.info("certificates of the webhooks: made new ones, %d authorities are trusted", len(new.authorities))
        return new

    async def _keep(self, ring: Ring, version: str) -> None:
        assert ring.serving is not None
        texts = {KEY: msgspec.json.encode(ring), "tls.crt": ring.serving.certificate.encode(), "ca.crt": ring.bundle.encode()}
        secret: dict[str, Any] = {
            "metadata": {"name": self._post.secret, "labels": {"app.kubernetes.io/part-of": "cloudbase"}},
            "data": {key: base64.b64encode(text).decode() for key, text in texts.items()},
        }
        if version:
            patch = {"metadata": {"resourceVersion": version}, "data": secret["data"]}
            await self._client.merge(SECRETS, self._post.secret, patch, self._post.namespace, manager=MANAGER)
        else:
            await self._client.create(SECRETS, secret, self._post.namespace, MANAGER)

    async def _trust(self, ring: Ring) -> None:
        for kind in (VALIDATING, MUTATING):
            found = await self._client.get(kind, self._post.configuration)
            if patch := trusting(found, ring.bundle):
                with contextlib.suppress(Conflict):  # somebody else wrote: the next look compares again
                    await self._client.merge(kind, self._post.configuration, patch, manager=MANAGER)
                    log.info("%s %s: trusts the webhooks' certificates", kind.title, self._post.configuration)

    def _load(self, serving: Certificate) -> None:
        """Serve new connections with this certificate from now on; those that are open stay."""
        with _file(serving.certificate + serving.key) as path:
            self.context.load_cert_chain(path)
        self._loaded = serving
        self.ready.set()


@contextlib.contextmanager
def _file(text: str) -> Iterator[str]:
    """A name that the text can be read by for a moment: OpenSSL takes keys by file only. In memory where there is memfd."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("webhooks")
        try:
            os.write(number, text.encode())
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    with tempfile.NamedTemporaryFile("w") as file:  # 0600
        file.write(text)
        file.flush()
        yield file.name
