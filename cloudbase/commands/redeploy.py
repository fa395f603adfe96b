"""`cloudbase redeploy`."""

from __future__ import annotations

import click

from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, waits
from cloudbase.deploying import follow
from cloudbase.place import Place


@click.command("redeploy")
@names
@waits
@connects
def command(place: Place, name: str, wait: bool, timeout: float) -> None:
    """Start a function anew, as a new revision of what was built.

    Its processes read their Secrets and variables again; the old revision serves until the new one is ready.
    """
    with connect(place) as client, shown.progress() as progress:
        client.redeploy(name)
        if wait:
            follow(client, name, progress.step, timeout)
    shown.note(f"Redeployed {name}" if wait else f"{name} is being redeployed", "ready" if wait else "")
