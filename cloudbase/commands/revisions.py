"""`cloudbase revisions`."""

from __future__ import annotations

import click

from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, prints
from cloudbase.place import Place

COLUMNS = ("Revision", "Traffic", "Proven", "Age", "Artifact")


@click.command("revisions")
@names
@prints
@connects
def command(place: Place, name: str, output: str) -> None:
    """Show the revisions that are kept of a function, the newest first."""
    with connect(place) as client:
        items = client.revisions(name)
    if output == "json":
        shown.as_json({"items": items})
    elif items:
        shown.table(COLUMNS, [_row(each) for each in items])
    else:
        shown.note(f"{name} has no revision yet: nothing was built and released")


def _row(each: dict[str, object]) -> list[str]:
    share = f"{each['percent']} %" if each["percent"] else "-"
    proven = "yes" if each.get("provenAt") else "never ready"
    return [str(each["name"]), share, proven, shown.ago(str(each.get("createdAt", ""))), str(each["artifact"])]
