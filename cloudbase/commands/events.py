"""`cloudbase events`."""

from __future__ import annotations

import json

import click

from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, prints
from cloudbase.place import Place


@click.command("events")
@names
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens from now on, until Ctrl-C or until it is gone.")
@prints
@connects
def command(place: Place, name: str, follow: bool, output: str) -> None:
    """Show what became of a function: its builds, and its conditions as they changed.

    With -o json, each line is one JSON object: time, type, status, reason, message, generation.
    """
    with connect(place) as client:
        told = False
        for event in client.happening(name) if follow else client.happened(name):
            told = True
            click.echo(_line(event, output))
    if not told:
        shown.note(f"nothing is known to have happened to {name} since the platform started")


def _line(event: dict[str, str], output: str) -> str:
    if output == "json":
        return json.dumps(event, ensure_ascii=False)
    what = " ".join(text for text in (event["type"], event["status"], event["reason"]) if text)
    return f"{event['time']} {what}: {event['message']}" if event["message"] else f"{event['time']} {what}"
