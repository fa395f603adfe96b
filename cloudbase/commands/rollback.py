"""`cloudbase rollback`."""

from __future__ import annotations

import click

from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, waits
from cloudbase.deploying import follow, served
from cloudbase.place import Place


@click.command("rollback")
@names
@click.option("--to", default="", metavar="REVISION", help="A revision, or `newest`.  [default: the one before that was ready]")
@waits
@connects
def command(place: Place, name: str, to: str, wait: bool, timeout: float) -> None:
    """Give all traffic to an older revision.

    It lasts until `--to newest`, or until a folder is deployed that says nothing of `traffic`. `cloudbase revisions` lists them.
    """
    with connect(place) as client, shown.progress() as progress:
        view = client.rollback(name, to)
        wanted = [share["revision"] for share in view["spec"].get("traffic", [])]
        if wait:
            view = follow(client, name, progress.step, timeout)
    now = (served(view) if wait else wanted[0] if wanted else "the newest") or "the newest"
    shown.note(f"{name}: {now} {'has' if wait else 'gets'} the traffic", "ready" if wait else "")
