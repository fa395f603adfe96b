"""`cloudbase router`."""

from __future__ import annotations

import os
import sys

import click


@click.command("router", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def command(flags: tuple[str, ...]) -> None:
    """Run the router in front of a Kubernetes cluster, in the foreground.

    The same as python -m router --kube, whose flags it takes; --help lists them.
    """
    # It becomes the router, so that signals and memory are the router's alone. -P: a folder named `router` here is not it.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "router", "--kube", *flags])
