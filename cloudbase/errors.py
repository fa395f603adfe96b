"""What the command line says when something failed: a sentence, what to do next, and the exit code.

The codes are part of the interface (docs/cli.md); 2 is click's own, for wrong usage.
"""

from __future__ import annotations

from typing import IO, Any

import click


class CommandError(click.ClickException):
    """A failure that is told to the user as `Error: <message>`, followed by `Next: <what to do>` where there is something."""

    exit_code = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self.format_message()}", err=True, file=file)
        if self.next_step:
            click.echo(f"Next: {self.next_step}", err=True, file=file)


class Failed(CommandError):
    """The function or the platform did not do what was asked: a build failed, a call was answered with an error."""

    exit_code = 1


class Misused(CommandError):
    """An option, a setting or a file of the user's makes no sense."""

    exit_code = 2


class NoPlatform(CommandError):
    """Nobody answers there, or nobody said how to be let in."""

    exit_code = 3


class Refused(CommandError):
    """The platform understood and refused: a bad token, a bad spec, a bad archive."""

    exit_code = 4


class Overtaken(Refused):
    """The function is not any more what a change of it was made of."""


class NotFound(CommandError):
    """There is no such function, or no such replica of it."""

    exit_code = 5


class TookTooLong(CommandError):
    """The time given with --timeout is over; the platform goes on by itself."""

    exit_code = 6


class PortTaken(CommandError):
    """Another process listens where the platform was told to."""

    exit_code = 7


class FolderTaken(CommandError):
    """Another platform works in the data folder."""

    exit_code = 8
