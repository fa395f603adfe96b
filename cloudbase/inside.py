"""Deployments that the platform starts itself, by the same API as everybody's: the sample, and folders that are watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from cloudbase import manifest, sample, watch
from cloudbase.client import Client, View
from cloudbase.deploying import follow
from cloudbase.errors import CommandError, Misused, NotFound
from cloudbase.folder import FILE, expect_folder
from cloudbase.pack import pack
from cloudbase.place import Place

log = logging.getLogger(__name__)


def expect_watchable(folders: Sequence[Path]) -> None:
    """Raises Misused where one is not there, or two are the same function: each save of one would replace the other."""
    named: dict[str, Path] = {}
    for folder in folders:
        expect_folder(folder)
        name = _stated(folder)
        if name and name in named:
            hint = f'write another name = "…" into {folder / FILE}'
            raise Misused(f"{named[name]} and {folder} are both the function {name}", hint)
        named[name] = folder


async def deploy_sample(place: Place) -> None:
    """Deploy `hello`, and say where it answers. A failure is logged: the platform goes on without it."""
    try:
        chosen = await asyncio.to_thread(sample.choose)
        if (view := await asyncio.to_thread(_sample, place, chosen)) is None:
            log.info("%s: a function of your own has this name, so the sample is not deployed", sample.NAME)
            return
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


def _sample(place: Place, chosen: sample.Sample) -> View | None:
    """The sample, when it is ready; None where `hello` is another function. What was set for one that is there stays."""
    with Client(place) as client:
        try:
            there = client.get(sample.NAME)["spec"]["source"]
        except NotFound:
            there = ""
        if there and there not in sample.sources():
            return None
        log.info("%s: %s", sample.NAME, chosen.why)
        if there == sample.source(chosen.folder):
            return follow(client, sample.NAME, lambda line, mood: None)
    return deploy(place, chosen.folder, sample.NAME)


def deploy(place: Place, folder: Path, name: str | None = None) -> View:
    """Deploy a folder and wait until it is ready. Blocking. Raises CommandError."""
    name, spec = manifest.function(folder, name, None, (), {})
    with Client(place) as client:
        client.put(name, spec, pack(folder).archive)
        return follow(client, name, lambda line, mood: None)


def _stated(folder: Path) -> str:
    """The name that the folder is deployed with; "" where its cloudbase.toml cannot be read, which is told at its deployment."""
    try:
        return str(manifest.read(folder).get("name") or manifest.usual_name(folder))
    except Misused:
        return ""


async def _deploy_watched(place: Place, folder: Path) -> None:
    try:
        view = await asyncio.to_thread(deploy, place, folder)
        log.info("%s: deployed from %s, answers at %s", view["name"], folder, view["url"])
    except CommandError as error:
        log.error("%s: not deployed: %s%s", folder, error.message, f" ({error.next_step})" if error.next_step else "")
