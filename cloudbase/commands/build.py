"""`cloudbase build`."""

from __future__ import annotations

from pathlib import Path

import click

from cloudbase import manifest
from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, prints, waits
from cloudbase.deploying import follow
from cloudbase.pack import pack
from cloudbase.place import Place


@click.command("build")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), default=Path())
@click.option("--name", metavar="NAME", help="The function's name.  [default: cloudbase.toml's, else the folder's]")
@click.option("--runtime", metavar="NAME", help="node, python or dockerfile.  [default: cloudbase.toml's, else by the files]")
@waits
@prints
@connects
def command(place: Place, folder: Path, name: str | None, runtime: str | None, wait: bool, timeout: float, output: str) -> None:
    """Build the function in a folder, and let it wait.

    Nothing changes for who calls it until `cloudbase deploy NAME` releases what was built.
    """
    stated, spec = manifest.function(folder, name, runtime, (), {})
    spec["deploy"] = "manual"
    packed = pack(folder)
    with connect(place) as client, shown.progress() as progress:
        progress.step(f"Sending {packed} as {stated}", "progress")
        view, _ = client.put(stated, spec, packed.archive)
        if wait:
            view = follow(client, stated, progress.step, timeout)
    if output == "json":
        shown.as_json(view)
        return
    done = f"built: `cloudbase deploy {stated}` releases it" if wait else "taken; `cloudbase describe` shows how far it is"
    shown.note(f"{stated}: {done}", "ready" if wait else "")
