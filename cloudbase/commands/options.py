"""Options that several commands have, and the connection that they describe."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from cloudbase.errors import Misused
from cloudbase.place import Place, elsewhere, find

if TYPE_CHECKING:
    from cloudbase.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])


def connects(command: Command) -> Command:
    """Add the options that name a platform, here or in a cluster; the command is called with `place`, the one they mean."""
    return _connects(command, "--data", "--data-dir")


def connects_but_data(command: Command) -> Command:
    """As `connects`, for a command whose --data is something else: the folder is --data-dir only."""
    return _connects(command, "--data-dir")


def _connects(command: Command, *folder: str) -> Command:
    @click.option(*folder, "data", metavar="DIR", help="The platform's data folder.  [default: the nearest .cloudbase upward]")
    @click.option("--admin", metavar="HOST:PORT", help="The platform's management address.  [default: as its data folder says]")
    @click.option("--token", metavar="TEXT", help="The bearer token.  [default: the one in the data folder]")
    @click.option("--server", metavar="URL", help="The management API of a cluster's platform, where it is reached directly.")
    @click.option("--context", metavar="NAME", help="A cluster, by the kubeconfig's context: its platform is used.")
    @click.option("--namespace", metavar="NAME", help="Of the functions, in a cluster.  [default: the context's]")
    @functools.wraps(command)
    def wrapped(
        *args: Any, data: str | None, admin: str | None, token: str | None, server: str | None, context: str | None,
        namespace: str | None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        there = None if data or admin else elsewhere(server, context, namespace, token)
        if (data or admin) and (server or context or namespace):
            raise Misused(
                "--data and --admin name a platform here; --server, --context and --namespace one in a cluster", "give one"
            )
        return command(*args, place=there or find(data, admin, token), **kwargs)

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


def scales(command: Command) -> Command:
    """Add --min, --max and --idle-grace, passed on as `scaling`: what was given of them, named as in a function's settings."""

    @click.option("--min", "minimum", type=int, metavar="N", help="Replicas kept even when idle.")
    @click.option("--max", "maximum", type=int, metavar="N", help="Replicas never exceeded.")
    @click.option("--idle-grace", type=float, metavar="SECONDS", help="Silence before the last replica goes.")
    @functools.wraps(command)
    def wrapped(*args: Any, minimum: int | None, maximum: int | None, idle_grace: float | None, **kwargs: Any) -> Any:
        stated = {"min": minimum, "max": maximum, "idleGrace": idle_grace}
        return command(*args, scaling={key: value for key, value in stated.items() if value is not None}, **kwargs)

    return cast(Command, wrapped)


def waits(command: Command) -> Command:
    """Add --wait/--no-wait and --timeout, passed on under these names."""
    return click.option("--wait/--no-wait", default=True, help="Wait until it is ready.  [default: wait]")(within(300)(command))


def within(seconds: float) -> Callable[[Command], Command]:
    """Add --timeout with this default, passed on under its name."""
    kind = click.FloatRange(min=0, min_open=True)
    return click.option("--timeout", type=kind, default=seconds, show_default=True, metavar="SECONDS", help="Wait no longer.")


def names(command: Command) -> Command:
    """Add the argument NAME, a function's; shells complete it from the running platform."""
    argument = click.argument("name", shell_complete=_complete)
    return argument(command)


def connect(place: Place) -> Client:
    """A client of the platform; the context's `transport` replaces the network, for tests."""
    from cloudbase.client import Client  # imports httpx2, which `--help` does not need

    if place.cluster:
        from cloudbase.reach import open_way

        way, closing = open_way(place)
        return Client(way, closing=closing)
    context = click.get_current_context(silent=True)
    return Client(place, context.obj if context else None)


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    try:
        with connect(elsewhere(None, None, None, None) or find()) as client:
            return [view["name"] for view in client.list() if view["name"].startswith(incomplete)]
    except click.ClickException:  # a shell that completes has no place for an error
        return []
