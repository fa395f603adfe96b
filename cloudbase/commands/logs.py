"""`cloudbase logs`."""

from __future__ import annotations

import json

import click

from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, prints
from cloudbase.place import Place


@click.command("logs")
@names
@click.option("--follow", "-f", is_flag=True, help="Go on with what it writes from now on, until Ctrl-C.")
@click.option("--tail", "-n", type=click.IntRange(min=0), default=100, show_default=True, metavar="N", help="Lines of the past.")
@click.option("--replica", default="", metavar="NAME", help="Only this replica's lines.")
@click.option("--timestamps", "-t", is_flag=True, help="Print when each line was written, and by which replica.")
@prints
@connects
def command(place: Place, name: str, follow: bool, tail: int, replica: str, timestamps: bool, output: str) -> None:
    """Print what a function wrote.

    Lines of stderr are red in a terminal. With -o json, each line is one JSON object: time, replica, stream, line.
    """
    with connect(place) as client:
        for each in client.logs(name, follow, tail, replica):
            click.echo(_line(each, timestamps, output))
    if follow:
        shown.note("the log has ended: the platform was stopped, or the function was deleted")


def _line(each: dict[str, str], timestamps: bool, output: str) -> str:
    if output == "json":
        return json.dumps(each, ensure_ascii=False)
    text = click.style(each["line"], fg="red") if each["stream"] == "stderr" else each["line"]
    return f"{each['time']} {each['replica']} {text}" if timestamps else text
