"""`cloudbase deploy`."""

from __future__ import annotations

from pathlib import Path

import click

from cloudbase import manifest
from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, prints, scales, waits
from cloudbase.deploying import follow, outcome, reached
from cloudbase.errors import NotFound
from cloudbase.pack import pack
from cloudbase.place import Place


@click.command("deploy")
@click.argument("folder", metavar="DIR|NAME", type=click.Path(path_type=Path), default=Path())
@click.option("--name", metavar="NAME", help="The function's name.  [default: cloudbase.toml's, else the folder's]")
@click.option("--runtime", metavar="NAME", help="node, python or dockerfile.  [default: cloudbase.toml's, else by the files]")
@click.option("--image", metavar="IMAGE", help="Run this image instead of a folder's source, in a cluster.")
@click.option("--env", "-e", metavar="NAME=VALUE", multiple=True, help="An environment variable; may be repeated.")
@scales
@waits
@prints
@connects
def command(
    place: Place,
    folder: Path,
    name: str | None,
    runtime: str | None,
    image: str | None,
    env: tuple[str, ...],
    scaling: dict[str, float],
    wait: bool,
    timeout: float,
    output: str,
) -> None:
    """Build and run the function in a folder.

    The folder's cloudbase.toml holds the function's settings; flags replace single ones. What a .cloudbaseignore (without one,
    a .gitignore) names stays here, and so do node_modules, .venv, .git and their like: the platform installs dependencies.

    With the NAME of a function instead of a folder, what was built of it and waits (`deploy = "manual"`) is released.
    """
    if _named(folder) and not (name or runtime or image or env or scaling):
        _release(place, str(folder), wait, timeout, output)
        return
    stated, spec = manifest.function(folder, name, runtime, env, scaling, image)
    packed = pack(folder) if manifest.sent(spec) else None
    with connect(place) as client, shown.progress() as progress:
        progress.step(f"Sending {packed or 'the settings'} as {stated}", "progress")
        view, created = client.put(stated, spec, packed.archive if packed else None)
        if wait:
            view = follow(client, stated, progress.step, timeout)
    done = reached(view) if wait else "taken; `cloudbase describe` shows how far it is"
    outcome(view, f"{'Created' if created else 'Updated'} {stated}: {done}", wait, output)


def _named(target: Path) -> bool:
    """Whether it is a function's name, as there is no such folder and it could be none in another."""
    return not target.exists() and len(target.parts) == 1 and target.name == str(target)


def _release(place: Place, name: str, wait: bool, timeout: float, output: str) -> None:
    with connect(place) as client, shown.progress() as progress:
        try:
            view = client.release(name)
        except NotFound as error:
            hint = f"{error.next_step}; `cloudbase init --runtime node {name}` writes a new one's folder"
            raise NotFound(f"there is neither a folder nor a function {name}", hint) from error
        if wait:
            view = follow(client, name, progress.step, timeout)
    outcome(view, f"Released {name}{': ready' if wait else ''}", wait, output)
