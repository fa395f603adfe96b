"""Options that several commands have, and the connection that they describe."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from cloudbase.place import Place, find

if TYPE_CHECKING:
    from cloudbase.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])


def connects(command: Command) -> Command:
    """Add --data (or --data-dir), --admin and --token; the command is called with `place`, the platform they mean."""
    return _connects(command, "--data", "--data-dir")


def connects_but_data(command: Command) -> Command:
    """As `connects`, for a command whose --data is something else: the folder is --data-dir only."""
    return _connects(command, "--data-dir")


def _connects(command: Command, *folder: str) -> Command:
    @click.option(*folder, "data", metavar="DIR", help="The platform's data folder.  [default: the nearest .cloudbase upward]")
    @click.option("--admin", metavar="HOST:PORT", help="The platform's management address.  [default: as its data folder says]")
    @click.option("--token", metavar="TEXT", help="The bearer token.  [default: the one in the data folder]")
    @functools.wraps(command)
    def wrapped(*args: Any, data: str | None, admin: str | None, token: str | None, **kwargs: Any) -> Any:
        return command(*args, place=find(data, admin, token), **kwargs)

    return cast(Command, wrapped)


def prints(command: Command) -> Command:
    """Add -o/--output, passed on as `output`: "table" or "json"."""
    option = click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="What to print on stdout.",
    )
    return option(command)


def names(command: Command) -> Command:
    """Add the argument NAME, a function's; shells complete it from the running platform."""
    argument = click.argument("name", shell_complete=_complete)
    return argument(command)


def connect(place: Place) -> Client:
    """A client of the platform; the context's `transport` replaces the network, for tests."""
    from cloudbase.client import Client  # imports httpx2, which `--help` does not need

    context = click.get_current_context(silent=True)
    return Client(place, context.obj if context else None)


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    try:
        with connect(find()) as client:
            return [view["name"] for view in client.list() if view["name"].startswith(incomplete)]
    except click.ClickException:  # a shell that completes has no place for an error
        return []
