"""`cloudbase list`."""

from __future__ import annotations

import click

from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, prints
from cloudbase.deploying import state
from cloudbase.place import Place

COLUMNS = ("Name", "State", "Runtime", "Replicas", "Age", "Address")


@click.command("list")
@prints
@connects
def command(place: Place, output: str) -> None:
    """Show the functions and their replicas."""
    with connect(place) as client:
        views = client.list()
    if output == "json":
        shown.as_json({"items": views})
    elif views:
        shown.table(COLUMNS, [_row(view) for view in sorted(views, key=lambda view: str(view["name"]))], whole=True)
    else:
        shown.note("There are no functions yet: `cloudbase init --runtime node hello`, then `cloudbase deploy hello`.")


def _row(view: dict[str, object]) -> list[str]:
    spec = view["spec"]
    assert isinstance(spec, dict)
    age = shown.ago(str(view.get("createdAt", "")))
    return [
        str(view["name"]),
        state(view),
        str(spec.get("runtime") or "image"),
        str(view["replicas"]),
        age,
        str(view.get("url", "")),
    ]
