"""Carries out the steps of an adoption at the API server: patches, waits, and what has to be deleted in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from cloudbase.errors import Failed
from cloudbase.interception import Change
from cloudbase.output import note
from kube.client import Client
from kube.errors import NotFound
from kube.model import EndpointSlice
from kube.resource import DEPLOYMENTS, ENDPOINT_SLICES, SERVICES, Resource
from kube.watch import Scope
from router.kube.names import SERVICE_NAME
from router.kube.slices import leads_to_routers

MANAGER: Final = "cloudbase-adopt"
PATIENCE: Final = 30.0  # seconds for routers or pods to come
LOOK_AGAIN: Final = 0.2  # seconds
FOLLOWED: Final = 3.0  # seconds in which every node's kube-proxy has followed (it writes rules once a second)
ENDPOINTS: Final[Resource[dict[str, Any]]] = Resource("", "v1", "endpoints", "Endpoints", dict)


async def carry_out(client: Client, namespace: str, change: Change) -> None:
    """One step. Raises KubeError and Failed; every step may be repeated."""
    await STEPS[change.kind](client, namespace, change)


async def stale(client: Client, namespace: str, service: str) -> bool:
    """Whether a Service has slices that name pods."""
    return any([True async for one in _slices(client, namespace, service) if not leads_to_routers(one)])


async def _merge(client: Client, namespace: str, change: Change) -> None:
    resource: Resource[Any] = SERVICES if change.kind == "service" else DEPLOYMENTS
    await client.merge(resource, change.name, change.patch, namespace, manager=MANAGER)


async def _scale(client: Client, namespace: str, change: Change) -> None:
    await client.scale_to(DEPLOYMENTS, change.name, namespace, change.patch["replicas"], manager=MANAGER)


async def _make(client: Client, namespace: str, change: Change) -> None:
    await client.create(SERVICES, change.patch, namespace, MANAGER)


async def _unmake(client: Client, namespace: str, change: Change) -> None:
    with suppress(NotFound):
        await client.delete(SERVICES, change.name, namespace)


async def _routers(client: Client, namespace: str, change: Change) -> None:
    if await _come(client, namespace, change.name, leads_to_routers):
        return
    raise Failed(
        f"no router has come to {change.name} within {PATIENCE:.0f} s; until one does, its pods answer as before",
        "start a router that knows its own Service (--kube-service) and run this again, or take it back with --undo",
    )


async def _pods(client: Client, namespace: str, change: Change) -> None:
    if not await _come(client, namespace, change.name, lambda one: not leads_to_routers(one)):
        note(f"Note: no pod of {change.name} has become ready within {PATIENCE:.0f} s", "progress")


async def _clear(client: Client, namespace: str, change: Change) -> None:
    """Nobody else does it: the controllers leave alone what a Service had before it lost its selector."""
    with suppress(NotFound):
        await client.delete(ENDPOINTS, change.name, namespace)
    await _delete(client, namespace, change.name, lambda one: not leads_to_routers(one))


async def _release(client: Client, namespace: str, change: Change) -> None:
    """Calls come to the routers until kube-proxy has followed: they must still know what these mean."""
    await _delete(client, namespace, change.name, leads_to_routers)
    await asyncio.sleep(FOLLOWED)


async def _come(client: Client, namespace: str, service: str, which: Callable[[EndpointSlice], bool]) -> bool:
    """Wait until the Service has a ready address of this kind; False when none came in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while True:
                async for one in _slices(client, namespace, service):
                    if which(one) and any(each.conditions.ready is not False for each in one.endpoints or ()):
                        return True
                await asyncio.sleep(LOOK_AGAIN)
    return False


async def _delete(client: Client, namespace: str, service: str, which: Callable[[EndpointSlice], bool]) -> None:
    async for one in _slices(client, namespace, service):
        if which(one):
            with suppress(NotFound):
                await client.delete(ENDPOINT_SLICES, one.metadata.name, namespace)


async def _slices(client: Client, namespace: str, service: str) -> AsyncIterator[EndpointSlice]:
    for one in await client.list(ENDPOINT_SLICES, Scope(namespace, f"{SERVICE_NAME}={service}")):
        yield one


STEPS: Final[dict[str, Callable[[Client, str, Change], Awaitable[None]]]] = {
    "service": _merge,
    "deployment": _merge,
    "scale": _scale,
    "new service": _make,
    "gone service": _unmake,
    "routers": _routers,
    "pods": _pods,
    "clear": _clear,
    "release": _release,
}
