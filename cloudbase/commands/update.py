"""`cloudbase update`."""

from __future__ import annotations

from typing import Any

import click

from cloudbase import manifest
from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, prints, waits
from cloudbase.deploying import follow, pinned, waiting
from cloudbase.errors import Misused
from cloudbase.place import Place


@click.command("update")
@names
@click.option("--env", "-e", metavar="NAME=VALUE", multiple=True, help="Set an environment variable; may be repeated.")
@click.option("--unset", metavar="NAME", multiple=True, help="Take an environment variable away; may be repeated.")
@click.option("--image", metavar="IMAGE", help="Run this image from now on, of a function that is an image.")
@click.option("--min", "minimum", type=int, metavar="N", help="Replicas kept even when idle.")
@click.option("--max", "maximum", type=int, metavar="N", help="Replicas never exceeded.")
@click.option("--idle-grace", type=float, metavar="SECONDS", help="Silence before the last replica goes.")
@waits
@prints
@connects
def command(
    place: Place,
    name: str,
    env: tuple[str, ...],
    unset: tuple[str, ...],
    image: str | None,
    minimum: int | None,
    maximum: int | None,
    idle_grace: float | None,
    wait: bool,
    timeout: float,
    output: str,
) -> None:
    """Change settings of a function that is there.

    Its source and everything that is not named stay as they are. The next `cloudbase deploy DIR` says again what the folder's
    cloudbase.toml holds.
    """
    scaling = {"min": minimum, "max": maximum, "idleGrace": idle_grace}
    if not (env or unset or image) and all(value is None for value in scaling.values()):
        raise Misused("nothing is to be changed", "give --env, --unset, --image, --min, --max or --idle-grace")
    with connect(place) as client, shown.progress() as progress:
        spec = _changed(client.get(name)["spec"], manifest.variables(env), unset, image, scaling)
        view, _ = client.put(name, spec, None)
        if wait:
            view = follow(client, name, progress.step, timeout)
    if output == "json":
        shown.as_json(view)
        return
    done = f"built: `cloudbase deploy {name}` releases it" if waiting(view) else "ready"
    shown.note(f"Updated {name}{f': {done}' if wait else ''}", "ready" if wait else "")
    if stays := pinned(view):
        shown.note(stays, "")
    click.echo(view.get("url", ""))


def _changed(
    spec: dict[str, Any], env: dict[str, str], unset: tuple[str, ...], image: str | None, scaling: dict[str, Any]
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
        "scaling": spec.get("scaling", {}) | {key: value for key, value in scaling.items() if value is not None},
    }
