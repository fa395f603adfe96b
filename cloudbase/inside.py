"""Deployments that the platform starts itself, by the same API as everybody's: the sample, and folders that are watched."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from cloudbase import manifest, sample, watch
from cloudbase.client import Client, View
from cloudbase.deploying import follow
from cloudbase.errors import CommandError
from cloudbase.pack import pack
from cloudbase.place import Place

log = logging.getLogger(__name__)


async def deploy_sample(place: Place) -> None:
    """Deploy `hello`, and say where it answers. A failure is logged: the platform goes on without it."""
    try:
        chosen = await asyncio.to_thread(sample.choose)
        log.info("%s: %s", sample.NAME, chosen.why)
        view = await asyncio.to_thread(deploy, place, chosen.folder, sample.NAME)
        log.info("%s: answers at %s – try: curl %s", sample.NAME, view["url"], view["url"])
    except CommandError as error:
        log.error("%s: not deployed: %s", sample.NAME, error.message)


async def deploy_on_save(place: Place, folder: Path) -> None:
    """Deploy the folder now and after every save, until cancelled."""
    known = await watch.look(folder)  # before it is packed: a save during the first deployment counts
    await _deploy_watched(place, folder)
    async for _ in watch.saves(folder, known):
        log.info("%s: saved", folder)
        await _deploy_watched(place, folder)


def deploy(place: Place, folder: Path, name: str | None = None) -> View:
    """Deploy a folder and wait until it is ready. Blocking. Raises CommandError."""
    name, spec = manifest.function(folder, name, None, (), {})
    with Client(place) as client:
        client.put(name, spec, pack(folder).archive)
        return follow(client, name, lambda line, mood: None)


async def _deploy_watched(place: Place, folder: Path) -> None:
    try:
        view = await asyncio.to_thread(deploy, place, folder)
        log.info("%s: deployed from %s, answers at %s", view["name"], folder, view["url"])
    except CommandError as error:
        log.error("%s: not deployed: %s%s", folder, error.message, f" ({error.next_step})" if error.next_step else "")
