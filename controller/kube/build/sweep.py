"""Takes away what a killed controller left of builds: Jobs that have ended and nobody follows, Secrets without a Job."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from controller.kube.build import names
from controller.kube.build.jobs import JOBS, has_ended
from kube.client import Client
from kube.errors import NotFound
from kube.model import Metadata
from kube.resource import SECRETS, Resource
from kube.watch import Scope


async def sweep(client: Client, namespace: str, running: Collection[str]) -> int:
    """Delete them, those of the keys in `running` excepted; returns how many. Raises KubeError."""
    scope = Scope(namespace, ",".join(f"{key}={value}" for key, value in names.labels("build").items()))
    # Secrets first: one that is made in between has its Job by the time that Jobs are listed, or its key in `running`.
    secrets = await client.list(SECRETS.decoded_as(Metadata), scope)
    jobs = await client.list(JOBS, scope)
    busy = {names.job_name(key) for key in running}
    gone = {job["metadata"]["name"] for job in jobs if has_ended(job)} - busy
    alive = {job["metadata"]["name"] for job in jobs} - gone
    count = 0
    for resource, found in ((JOBS, gone), (SECRETS, {each.metadata.name for each in secrets} - alive - busy)):
        for name in sorted(found):
            count += await _delete(client, resource, name, namespace)
    return count


async def _delete(client: Client, resource: Resource[Any], name: str, namespace: str) -> bool:
    try:
        await client.delete(resource, name, namespace)
    except NotFound:
        return False
    return True
