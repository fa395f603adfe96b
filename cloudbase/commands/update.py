"""`cloudbase update`."""

from __future__ import annotations

from typing import Any

import click

from cloudbase import manifest
from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, prints, scales, waits
from cloudbase.deploying import follow, outcome, reached
from cloudbase.errors import Misused
from cloudbase.place import Place


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
        spec = _changed(client.get(name)["spec"], manifest.variables(env), unset, image, scaling)
        view, _ = client.put(name, spec, None)
        if wait:
            view = follow(client, name, progress.step, timeout)
    outcome(view, f"Updated {name}{f': {reached(view)}' if wait else ''}", wait, output)


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
