"""`cloudbase version`."""

from __future__ import annotations

import platform
from importlib.metadata import version

import click

from cloudbase import output as shown
from cloudbase.commands.options import prints


@click.command("version")
@prints
def command(output: str) -> None:
    """Print the version of this program."""
    facts = {"cloudbase": version("cloudbase-serverless"), "python": platform.python_version(), "system": platform.platform()}
    if output == "json":
        shown.as_json(facts)
    else:
        click.echo(f"cloudbase {facts['cloudbase']} (Python {facts['python']}, {facts['system']})")
