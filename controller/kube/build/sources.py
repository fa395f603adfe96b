"""Keeps sources in the builds' namespace by the digest of their canonical tar: up to 1 MiB in a Secret, above in the registry.

Each has a small ConfigMap of the same name that says where its content is and what a build needs to know of it; so they can be
listed without their content. Content is written first and the ConfigMap last: what is found is whole.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec

from controller import archive, tarball
from controller.documents import rfc3339
from controller.errors import StoreFailed
from controller.facts import Facts, facts
from controller.kube.build import names
from controller.kube.build.names import MANAGER
from controller.kube.build.registry import Registry, RegistryError
from controller.kube.build.settings import BuildSettings
from kube.client import Client
from kube.errors import Conflict, KubeError, NotFound
from kube.model import Metadata
from kube.resource import CONFIG_MAPS, SECRETS
from kube.watch import Scope

log = logging.getLogger(__name__)

SECRET_BYTES = 1 << 20  # what a Secret may hold; larger sources go to the registry
REPOSITORY = "cloudbase.sources"  # within the registry
FILE = "source.tar.gz"


@dataclass(frozen=True, slots=True)
class Stored:
    """A source that is kept."""

    digest: str
    facts: Facts
    manifest: str = ""  # digest of its artifact in the registry; "" = it is in its Secret


class KubeSourceStore:
    """The port `controller.ports.SourceStore` in a cluster."""

    def __init__(
        self, client: Client, settings: BuildSettings, registry: Registry, *, limits: archive.Limits | None = None,
        young: float = 600.0, clock: Callable[[], float] = time.time, in_secret: int = SECRET_BYTES,
    ) -> None:  # fmt: skip
        """`young`: seconds that a tree nobody references is kept, for its function may be about to be stored."""
        self._client, self._registry = client, registry
        self._namespace = settings.namespace
        self._limits = limits or archive.Limits()
        self._young, self._clock, self._in_secret = young, clock, in_secret
        self.repository = repository(settings)

    async def put(self, files: dict[str, bytes]) -> str:
        return await self.put_tree(await asyncio.to_thread(archive.from_files, files, self._limits))

    async def put_archive(self, data: bytes) -> str:
        return await self.put_tree(await asyncio.to_thread(tarball.read, data, self._limits))

    async def put_tree(self, tree: archive.Tree) -> str:
        """Store a checked tree; returns its digest. Raises StoreFailed."""
        digest, packed = await asyncio.to_thread(_pack, tree)
        manifest = ""
        try:
            if len(packed) <= self._in_secret:
                await self._put_secret(digest, packed)
            else:
                manifest = await self._registry.push(self.repository, digest.removeprefix("sha256:"), packed)
            await self._put_note(Stored(digest, facts(tree), manifest))
        except (KubeError, RegistryError) as error:
            raise _failed(error) from error
        return digest

    async def has(self, digest: str) -> bool:
        return await self.find(digest) is not None

    async def find(self, digest: str) -> Stored | None:
        """What is known of a source. Raises StoreFailed."""
        try:
            found = await self._client.get(CONFIG_MAPS, names.source_name(digest), self._namespace)
        except NotFound:
            return None
        except KubeError as error:
            raise _failed(error) from error
        metadata = found.get("metadata", {})
        noted = metadata.get("annotations") or {}
        if noted.get(names.SOURCE) != digest or metadata.get("deletionTimestamp"):
            return None
        known = msgspec.json.decode((found.get("data") or {}).get("facts", "{}"), type=Facts)
        return Stored(digest, known, noted.get(names.WHERE, ""))

    async def prune(self, keep: Collection[str]) -> int:
        kept = {names.source_name(digest) for digest in keep}
        try:
            listed = await self._client.list(CONFIG_MAPS.decoded_as(Metadata), Scope(self._namespace, _selector()))
            old = rfc3339(self._clock() - self._young)
            unused = [each for each in listed if each.metadata.name not in kept and _used_at(each) <= old]
            return sum([await self._drop(each) for each in unused])
        except KubeError as error:
            raise _failed(error) from error

    # --- how ---

    async def _put_secret(self, digest: str, packed: bytes) -> None:
        name = names.source_name(digest)
        content = {FILE: base64.b64encode(packed).decode()}
        noted = {names.SOURCE: digest, names.USED_AT: rfc3339(self._clock())}
        body = {"metadata": {"labels": names.labels("source"), "annotations": noted}, "data": content}
        await self._client.apply(SECRETS, name, body, MANAGER, self._namespace, force=True)

    async def _put_note(self, stored: Stored) -> None:
        noted = {names.SOURCE: stored.digest, names.USED_AT: rfc3339(self._clock())}
        noted |= {names.WHERE: stored.manifest} if stored.manifest else {}
        body = {
            "metadata": {"labels": names.labels("source"), "annotations": noted},
            "data": {"facts": msgspec.json.encode(stored.facts).decode()},
        }
        await self._client.apply(CONFIG_MAPS, names.source_name(stored.digest), body, MANAGER, self._namespace, force=True)

    async def _drop(self, note: Metadata) -> bool:
        """False when it is wanted again, or its content cannot be deleted now.

        The note goes first, and each only as it was seen: who stores the same source in between writes both anew.
        """
        name, manifest = note.metadata.name, (note.metadata.annotations or {}).get(names.WHERE, "")
        try:
            content = "" if manifest else await self._version(name)
            if manifest:
                await self._registry.delete(self.repository, manifest)
            await self._client.delete(CONFIG_MAPS, name, self._namespace, resource_version=note.metadata.resource_version)
            if content:
                await self._client.delete(SECRETS, name, self._namespace, resource_version=content)
        except (Conflict, NotFound):
            return False
        except RegistryError as error:
            log.warning("%s: a source that nobody needs stays: %s", name, error)
            return False
        return True

    async def _version(self, name: str) -> str:
        """The resourceVersion of the Secret; "" when there is none."""
        try:
            return (await self._client.get(SECRETS.decoded_as(Metadata), name, self._namespace)).metadata.resource_version
        except NotFound:
            return ""


def repository(settings: BuildSettings) -> str:
    """Where large sources are, within the registry."""
    return f"{settings.registry}/{REPOSITORY}".partition("/")[2]


def _selector() -> str:
    return ",".join(f"{key}={value}" for key, value in names.labels("source").items())


def _used_at(note: Metadata) -> str:
    return (note.metadata.annotations or {}).get(names.USED_AT, "")


def _pack(tree: archive.Tree) -> tuple[str, bytes]:
    """Digest and tar.gz; the same bytes for the same tree."""
    sha256, packed = hashlib.sha256(), io.BytesIO()
    with gzip.GzipFile("", "wb", 6, packed, mtime=0) as stream:
        for chunk in archive.canonical(tree):
            sha256.update(chunk)
            stream.write(chunk)
    return f"sha256:{sha256.hexdigest()}", packed.getvalue()


def _failed(error: Exception) -> StoreFailed:
    return StoreFailed(f"the store of sources cannot be used: {error}")
