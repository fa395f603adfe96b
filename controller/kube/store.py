"""Keeps functions as custom resources: `functions.cloudbase.dev`, and their revisions as `revisions.cloudbase.dev`.

Reads are from informers; writes go to the API server and are seen here at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from controller.documents import expect
from controller.errors import Conflict, Invalid, StoreFailed
from controller.kube import documents
from controller.kube.failures import translated
from controller.kube.names import FINALIZER, MANAGER, RELEASED, labels
from controller.kube.objects import FUNCTIONS, REVISIONS, Kept
from controller.kube.render import Owner, reference
from controller.kube.seen import Seen
from controller.model import Function, FunctionSpec, FunctionStatus, Revision
from kube.client import Client
from kube.errors import AlreadyExists, Forbidden, KubeError, NotFound
from kube.errors import Conflict as Changed
from kube.errors import Invalid as Refused

log = logging.getLogger(__name__)

TRIES = 5  # of a change that others overtake
Key = tuple[str, str]  # namespace, name


class KubeFunctionStore:
    """FunctionStore; a function's project is its namespace. `await run()` in a task, `wait_synced()` before the first look."""

    def __init__(
        self, client: Client, *, namespaces: Collection[str] = (), ending: Callable[[str], bool] = lambda namespace: False
    ) -> None:
        """`ending` tells of a namespace that it is being deleted: so is every function in it, which Kubernetes tells last."""
        self._client, self._ending = client, ending
        self.functions: Seen[Kept] = Seen(client, FUNCTIONS, namespaces=namespaces)
        self._revisions: Seen[Kept] = Seen(client, REVISIONS, namespaces=namespaces)
        self._decoded: dict[Key, tuple[str, Function | Invalid]] = {}  # by resourceVersion
        self._kept: dict[Key, tuple[str, Revision]] = {}

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.functions.informer.run(), name="watch functions")
            group.create_task(self._revisions.informer.run(), name="watch revisions")

    async def wait_synced(self) -> None:
        """Until everything has been listed once."""
        await self.functions.informer.wait_synced()
        await self._revisions.informer.wait_synced()

    # --- reading ---

    def get(self, project: str, name: str) -> Function | None:
        return self._function(self.functions.get(project, name))

    def list(self, project: str | None = None) -> list[Function]:
        found = (self._function(item) for item in self.functions.all() if project in (None, item.metadata.namespace))
        return [each for each in found if each is not None]

    def refused(self, project: str, name: str) -> Invalid | None:
        """Why the function's spec cannot work, where it was stored all the same."""
        found = self._document(self.functions.get(project, name))
        return found if isinstance(found, Invalid) else None

    def owner(self, project: str, name: str) -> Owner | None:
        """The function as the owner of its children."""
        item = self.functions.get(project, name)
        return Owner(name, project, item.metadata.uid) if item else None

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self.functions.watch(changed)
        self._revisions.watch(changed)

    def revisions(self, project: str, name: str) -> Sequence[Revision]:
        owner = self.owner(project, name)
        own = [item for item in self._revisions.of(project, name) if owner and _belongs(item, owner)]
        found = [each for item in own if (each := self._revision(item))]
        return sorted(found, key=lambda each: each.generation)

    def _function(self, item: Kept | None) -> Function | None:
        found = self._document(item)
        if item is None or not isinstance(found, Function):
            return None
        if found.deleting or not self._ending(item.metadata.namespace):
            return found
        # Without our finalizer nothing of it is there, or not any more.
        return replace(found, deleting=True) if FINALIZER in (item.metadata.finalizers or ()) else None

    def _document(self, item: Kept | None) -> Function | Invalid | None:
        if item is None:
            return None
        key = (item.metadata.namespace, item.metadata.name)
        known = self._decoded.get(key)
        if known is None or known[0] != item.metadata.resource_version:
            try:
                document: Function | Invalid = documents.function(item)
            except Invalid as error:
                document = error
            known = self._decoded[key] = (item.metadata.resource_version, document)
        return known[1]

    def _revision(self, item: Kept) -> Revision | None:
        key = (item.metadata.namespace, item.metadata.name)
        known = self._kept.get(key)
        if known is None or known[0] != item.metadata.resource_version:
            try:
                known = self._kept[key] = (item.metadata.resource_version, documents.revision(item))
            except msgspec.DecodeError as error:
                log.warning("revision %s/%s cannot be read by this version: %s", *key, error)
                return None
        return known[1]

    # --- writing ---

    async def apply(self, project: str, name: str, spec: FunctionSpec, generation: int = 0) -> Function:
        """Raises Conflict, Overtaken, and StoreFailed when the API server refuses."""
        plain = documents.plain(spec)
        for _ in range(TRIES):
            try:
                item = await self._applied(project, name, spec, plain, generation)
            except (Changed, NotFound):
                continue  # somebody was faster: look again
            except (Refused, Forbidden) as error:
                raise StoreFailed(f"the function was refused: {error.message}") from error
            except KubeError as error:
                raise StoreFailed(f"the function cannot be stored: {error}") from error
            return documents.function(self.functions.wrote(item))
        raise StoreFailed(f'function "{name}" is changed by others again and again: try it later')

    async def _applied(self, project: str, name: str, spec: FunctionSpec, plain: dict[str, Any], generation: int) -> Kept:
        try:
            before = await self._client.get(FUNCTIONS, name, project)
        except NotFound:
            expect(name, 0, generation)
            fresh = {"metadata": {"name": name, "finalizers": [FINALIZER]}, "spec": plain}
            return await self._client.create(FUNCTIONS, fresh, project, MANAGER)
        if before.metadata.deletion_timestamp or self._ending(project):
            raise Conflict(f'function "{name}" is being deleted: wait until it is gone, then create it again')
        expect(name, before.metadata.generation, generation)
        found = self._document(before)
        if isinstance(found, Function) and found.spec == spec:
            return before
        version = {"resourceVersion": before.metadata.resource_version}
        patch = {"metadata": version, "spec": _emptied(msgspec.json.decode(before.spec), plain)}
        return await self._client.merge(FUNCTIONS, name, patch, project, manager=MANAGER)

    async def set_status(self, project: str, name: str, status: FunctionStatus) -> None:
        item = self.functions.get(project, name)
        if item is None or documents.status(item) == status:
            return
        patch = documents.status_patch(name, status)
        with translated(), suppress(NotFound):  # it may go meanwhile
            await self._guard(item)
            self.functions.wrote(await self._client.merge(FUNCTIONS, name, patch, project, subresource="status", manager=MANAGER))

    async def refuse(self, project: str, name: str) -> None:
        """Tell in its status why a function cannot work."""
        item, error = self.functions.get(project, name), self.refused(project, name)
        if item is not None and error is not None:
            await self.set_status(project, name, documents.refusal(item, error.errors))

    async def release(self, project: str, name: str) -> Function | None:
        function = self.get(project, name)
        if function is None:
            return None
        patch = {"metadata": {"annotations": {RELEASED: str(function.generation)}}}
        try:
            item = await self._client.merge(FUNCTIONS, name, patch, project, manager=MANAGER)
        except NotFound:
            return None
        return documents.function(self.functions.wrote(item))

    async def mark_deleting(self, project: str, name: str) -> bool:
        item = self.functions.get(project, name)
        if item is None:
            return False
        if item.metadata.deletion_timestamp:
            return True
        try:
            await self._client.delete(FUNCTIONS, name, project)
            self.functions.wrote(await self._client.get(FUNCTIONS, name, project))
        except NotFound:
            self.functions.deleted(project, name)  # it had no finalizer of ours, or of anybody
        return True

    async def remove(self, project: str, name: str) -> None:
        """Let the function go, its revisions first; Kubernetes collects what else it owns."""
        item = self.functions.get(project, name)
        if item is None:
            return
        for each in self._revisions.of(project, name):
            await self._drop(each)
        left = [each for each in item.metadata.finalizers or () if each != FINALIZER]
        patch = {"metadata": {"finalizers": left, "resourceVersion": item.metadata.resource_version}}
        with translated(), suppress(NotFound):  # it may be gone already
            await self._client.merge(FUNCTIONS, name, patch, project, manager=MANAGER)
        self.functions.deleted(project, name)
        self._decoded.pop((project, name), None)

    async def put_revision(self, project: str, name: str, revision: Revision) -> None:
        item = self.functions.get(project, name)
        if item is not None:
            with translated():
                await self._put(item, revision)

    async def _put(self, item: Kept, revision: Revision) -> None:
        project, name = item.metadata.namespace, item.metadata.name
        await self._guard(item)
        known = self._revisions.get(project, revision.name)
        if known is None or known.metadata.deletion_timestamp:
            known = await self._create(Owner(name, project, item.metadata.uid), revision)
        if documents.revision(known).proven_at != revision.proven_at:
            status = {"status": {"provenAt": revision.proven_at}}
            written = await self._client.merge(REVISIONS, revision.name, status, project, subresource="status", manager=MANAGER)
            self._revisions.wrote(written)

    async def _create(self, owner: Owner, revision: Revision) -> Kept:
        metadata = {"name": revision.name, "labels": labels(owner.name), "ownerReferences": [reference(owner)]}
        body = {"metadata": metadata, "spec": documents.revision_spec(owner.name, revision)}
        try:
            return self._revisions.wrote(await self._client.create(REVISIONS, body, owner.namespace, MANAGER))
        except AlreadyExists:
            found = await self._client.get(REVISIONS, revision.name, owner.namespace)
            if not _belongs(found, owner):
                raise StoreFailed(f"revision {revision.name} of a function that was deleted is not gone yet") from None
            return self._revisions.wrote(found)

    async def drop_revision(self, project: str, name: str, revision: str) -> None:
        item = self._revisions.get(project, revision)
        if item is not None:
            await self._drop(item)

    async def _drop(self, item: Kept) -> None:
        metadata = item.metadata
        with translated(), suppress(NotFound, Changed):  # gone, or another of its name
            await self._client.delete(REVISIONS, metadata.name, metadata.namespace, uid=metadata.uid)
        self._revisions.deleted(metadata.namespace, metadata.name)
        self._kept.pop((metadata.namespace, metadata.name), None)

    async def _guard(self, item: Kept) -> None:
        """Before anything of it is made, see to it that the function does not go before what was made."""
        metadata = item.metadata
        if metadata.deletion_timestamp or FINALIZER in (metadata.finalizers or ()):
            return
        finalizers = [*(metadata.finalizers or ()), FINALIZER]
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata.resource_version}}
        written = await self._client.merge(FUNCTIONS, metadata.name, patch, metadata.namespace, manager=MANAGER)
        self.functions.wrote(written)


def _belongs(item: Kept, owner: Owner) -> bool:
    return any(each.uid == owner.uid for each in item.metadata.owner_references or ())


def _emptied(before: Any, after: Any) -> Any:
    """`after` as a merge patch on `before`: what is not in it any more becomes null."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return after
    gone = dict.fromkeys(before.keys() - after.keys())
    return {**{key: _emptied(before.get(key), value) for key, value in after.items()}, **gone}
