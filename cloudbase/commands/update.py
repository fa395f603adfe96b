"""`cloudbase update`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cloudbase import manifest
from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, prints, scales, waits
from cloudbase.deploying import follow, outcome, reached
from cloudbase.errors import Misused, Overtaken
from cloudbase.place import Place

if TYPE_CHECKING:
    from cloudbase.client import Client, View

TRIES = 10  # of a change that others overtake
PAUSE = 0.3  # seconds between them: what a platform reads may be a moment old


@click.command("update")
@names
@click.option("--env", "-e", metavar="NAME=VALUE", multiple=True, help="Set an environment variable; may be repeated.")
@click.option("--unset", metavar="NAME", multiple=True, help="Take an environment variable away; may be repeated.")
@click.option("--image", metavar="IMAGE", help="Run this image from now on, of a function that is an image.")
@scales
@waits
@prints
@connects
def command(
    place: Place,
    name: str,
    env: tuple[str, ...],
    unset: tuple[str, ...],
    image: str | None,
    scaling: dict[str, float],
    wait: bool,
    timeout: float,
    output: str,
) -> None:
    """Change settings of a function that is there.

    Its source and everything that is not named stay as they are. The next `cloudbase deploy DIR` says again what the folder's
    cloudbase.toml holds.
    """
    if not (env or unset or image or scaling):
        raise Misused("nothing is to be changed", "give --env, --unset, --image, --min, --max or --idle-grace")
    with connect(place) as client, shown.progress() as progress:
        variables = manifest.variables(env)
        view = _stored(client, name, lambda spec: _changed(spec, variables, unset, image, scaling))
        if wait:
            view = follow(client, name, progress.step, timeout)
    outcome(view, f"Updated {name}{f': {reached(view)}' if wait else ''}", wait, output)


def _stored(client: Client, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> View:
    """What is there, changed and written; where somebody else wrote meanwhile, on what they wrote. Raises Overtaken."""
    left = TRIES
    while True:
        there = client.get(name)
        try:
            return client.put(name, change(there["spec"]), None, there["generation"])[0]
        except Overtaken:
            left -= 1
            if not left:
                raise
            time.sleep(PAUSE)


def _changed(
    spec: dict[str, Any], env: dict[str, str], unset: tuple[str, ...], image: str | None, scaling: dict[str, float]
) -> dict[str, Any]:
    """The spec as it is, with what was given over it. Raises Misused."""
    known = spec.get("env", {})
    if missing := [each for each in unset if each not in known]:
        there = ", ".join(sorted(known)) or "none"
        raise Misused(f"there is no variable {missing[0]} to take away", f"it has: {there}")
    if image and not spec.get("image"):
        raise Misused("it is built from source, not run from an image", "delete it first, or give the image another name")
    return {
        **spec,
        **({"image": image} if image else {}),
        "env": {key: value for key, value in known.items() if key not in unset} | env,
        "scaling": spec.get("scaling", {}) | scaling,
    }
