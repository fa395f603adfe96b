"""`cloudbase delete`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from cloudbase import output as shown
from cloudbase.commands.options import connect, connects, names, within
from cloudbase.errors import Failed, Misused, NotFound, TookTooLong
from cloudbase.place import Place

if TYPE_CHECKING:
    from cloudbase.client import Client

LOOK_AGAIN = 0.1  # seconds between looks whether it is gone


@click.command("delete")
@names
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--wait/--no-wait", default=True, help="Wait until its last process is gone.  [default: wait]")
@within(60)
@connects
def command(place: Place, name: str, yes: bool, wait: bool, timeout: float) -> None:
    """Delete a function.

    Its address answers 404 at once; what is in flight is finished first.
    """
    with connect(place) as client:
        client.get(name)
        if not yes:
            _ask(name)
        client.delete(name)
        if wait:
            _until_gone(client, name, time.monotonic() + timeout)
    shown.note(f"Deleted {name}" if wait else f"{name} is being deleted")


def asks() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def _ask(name: str) -> None:
    if not asks():
        raise Misused(f"{name} is not deleted without being asked for", f"say `cloudbase delete {name} --yes`")
    if not click.confirm(f"Delete {name}, with its source and its logs?", err=True):
        raise Failed(f"{name} is not deleted")


def _until_gone(client: Client, name: str, deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            client.get(name)
        except NotFound:
            return
        time.sleep(LOOK_AGAIN)
    raise TookTooLong(f"{name} is not gone yet", "what is in flight is finished first; `cloudbase list` shows when it is over")
