"""Runs revisions as Deployments with a backend Service each: the port `controller.ports.Deployer` in a cluster.

How many replicas a routed revision has is the routers' business: a write of ours carries the number that was seen, on the
version that it was seen in, so that it never undoes a wake. Nothing is written that is already so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

from controller.errors import ControllerError
from controller.kube import objects, render
from controller.kube.failures import translated
from controller.kube.logs import Logs
from controller.kube.names import CHILDREN, MANAGER, OF_REVISIONS, REVISION
from controller.kube.objects import DEPLOYMENTS, PODS, SERVICES, Child
from controller.kube.pods import replica, unable
from controller.kube.render import Manifest, Owner, PodRules
from controller.kube.same import covers
from controller.kube.seen import Seen
from controller.kube.words import Words
from controller.model import Function, FunctionSpec, Revision
from controller.ports import LogLine, Replica
from kube.client import Client
from kube.errors import Conflict, NotFound
from kube.informer import Informer
from kube.model import Pod
from kube.resource import Resource

log = logging.getLogger(__name__)

Owners = Callable[[str, str], Owner | None]  # namespace, function


class NotOurs(ControllerError):
    """An object of the name that we need is somebody else's."""


class KubeDeployer:
    """`await run()` in a task, `wait_synced()` before the first look."""

    def __init__(self, client: Client, owner: Owners, rules: PodRules | None = None, *, namespaces: Collection[str] = ()) -> None:
        self._client, self._owner, self._rules = client, owner, rules or PodRules()
        self._deployments: Seen[Child] = Seen(client, DEPLOYMENTS, namespaces=namespaces, labels=OF_REVISIONS)
        self.services: Seen[Child] = Seen(client, SERVICES, namespaces=namespaces, labels=CHILDREN)
        self._pods: Seen[Pod] = Seen(client, PODS, namespaces=namespaces, labels=OF_REVISIONS)
        self._logs = Logs(client, self._pods, lambda namespace, name: owner(namespace, name) is not None)
        self._words = Words(self._pods.get, self._logs.end, self._told)
        self._watchers: list[Callable[[str, str], None]] = []

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        async with asyncio.TaskGroup() as group:
            for seen in (self._deployments, self.services, self._pods):
                group.create_task(seen.informer.run(), name=f"watch {seen.informer.resource.plural}")
            group.create_task(self._words.run(), name="last words")

    async def wait_synced(self) -> None:
        """Until everything has been listed once."""
        for seen in (self._deployments, self.services, self._pods):
            await seen.informer.wait_synced()

    def informers(self) -> list[Informer[Any]]:
        """What it follows, for readiness."""
        return [self._deployments.informer, self.services.informer, self._pods.informer]

    # --- seeing ---

    def observe(self, project: str, name: str) -> list[Replica]:
        """Pods that end are left out: they finish by themselves, and one on a dead node would never go."""
        pods = [each for pod in self._pods.of(project, name) if not (each := replica(pod, self._words.of(pod))).stopping]
        return pods + [one for found in self._deployments.of(project, name) if (one := unable(found)) is not None]

    def applied(self, project: str, name: str) -> Mapping[str, int]:
        return {
            each.metadata.name: objects.replicas(each)
            for each in self._deployments.of(project, name)
            if not each.metadata.deletion_timestamp
        }

    def remains(self, project: str, name: str) -> Collection[str]:
        """Services without a Deployment: somebody made them, or deleted that while no controller worked."""
        services = (each for each in self.services.of(project, name) if not each.metadata.deletion_timestamp)
        found = {each.metadata.name for each in services if (each.metadata.labels or {}).get(REVISION) == each.metadata.name}
        return found - self.applied(project, name).keys()

    def drifted(self, function: Function, revision: Revision) -> bool:
        owner = self._owner(function.project, function.name)
        if owner is None:
            return False
        return any(
            not as_wanted(found, wanted) for found, wanted in self._parts(owner, revision.name, revision.artifact, revision.spec)
        )

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self._deployments.watch(changed)
        self.services.watch(changed)
        self._pods.watch(changed)
        self._watchers.append(changed)

    def _told(self, namespace: str, function: str) -> None:
        for watcher in self._watchers:
            watcher(namespace, function)

    def logs(self, project: str, name: str, tail: int, follow: bool, replica: str = "") -> AsyncIterator[LogLine]:
        return self._logs.read(project, name, tail, follow, replica)

    async def heard(self, project: str, name: str) -> Collection[str]:
        return [pod.metadata.name for pod in self._pods.of(project, name)]

    # --- doing ---

    async def ensure(
        self, function: Function, revision: str, artifact: str, replicas: int, leaving: Collection[str] = ()
    ) -> None:
        """See the port. Which pods go is the routers' and Kubernetes' choice. Raises NotOurs, NotAllowed, Passing."""
        owner = self._owner(function.project, function.name)
        if owner is None:
            return
        for found, wanted in self._parts(owner, revision, artifact, function.spec, replicas):
            if found is None or not as_wanted(found, wanted):
                with translated():
                    await write(
                        self._client, self._deployments if wanted["kind"] == "Deployment" else self.services, found, wanted
                    )

    async def retire(self, function: Function, revision: str) -> None:
        """See the port. Its pods go on for a moment, finish what they have and end."""
        for seen in (self.services, self._deployments):
            found = seen.get(function.project, revision)
            if found is not None and (found.metadata.labels or {}).get(REVISION) == revision:
                with translated():
                    await remove(self._client, seen, found)

    async def forget(self, project: str, name: str) -> None:
        """Nothing is kept here: pods and their logs go with the Deployments."""

    def _parts(
        self, owner: Owner, revision: str, artifact: str, spec: FunctionSpec, replicas: int | None = None
    ) -> list[tuple[Child | None, Manifest]]:
        """What there is of a revision and how it should be; without `replicas` as many as there are."""
        deployment = self._deployments.get(owner.namespace, revision)
        number = replicas if replicas is not None else objects.replicas(deployment) if deployment else 0
        return [
            (deployment, render.deployment(owner, revision, artifact, spec, number, self._rules)),
            (self.services.get(owner.namespace, revision), render.backend(owner, revision, spec)),
        ]


def as_wanted(found: Child | None, wanted: Manifest) -> bool:
    """Nothing would change by writing it."""
    if found is None or found.metadata.deletion_timestamp:
        return False
    return covers(objects.whole(found), {"metadata": wanted["metadata"], "spec": wanted["spec"]})


async def write(client: Client, seen: Seen[Child], found: Child | None, wanted: Manifest) -> None:
    """Make it so by server-side apply. Raises KubeError, Conflict where it has changed since, NotOurs."""
    resource, name, namespace = seen.informer.resource, wanted["metadata"]["name"], wanted["metadata"]["namespace"]
    body: dict[str, Any] = dict(wanted)
    if found is None:
        await _claim(client, resource, name, namespace, wanted["metadata"]["labels"])
    else:
        body["metadata"] = {**wanted["metadata"], "resourceVersion": found.metadata.resource_version}
    seen.wrote(await client.apply(resource, name, body, MANAGER, namespace, force=True))
    log.info("%s %s/%s: %s", wanted["kind"], namespace, name, "created" if found is None else "put right")


async def remove(client: Client, seen: Seen[Child], found: Child) -> None:
    """Delete it unless it is gone, or another of its name by now. Raises KubeError."""
    metadata = found.metadata
    try:
        await client.delete(seen.informer.resource, metadata.name, metadata.namespace, uid=metadata.uid)
    except (NotFound, Conflict):
        pass  # somebody was faster
    seen.deleted(metadata.namespace, metadata.name)


async def _claim(client: Client, resource: Resource[Child], name: str, namespace: str, own: Mapping[str, str]) -> None:
    """Before the first write: an object that somebody else made under this name stays as it is."""
    try:
        there = await client.get(resource, name, namespace)
    except NotFound:
        return
    labels = there.metadata.labels or {}
    if not there.metadata.owner_references and any(labels.get(key) != value for key, value in own.items()):
        raise NotOurs(
            f"there is a {resource.kind} {namespace}/{name} that is not this function's: "
            "delete it, or give the function another name"
        )
