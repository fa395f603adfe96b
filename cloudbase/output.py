"""What commands print: rich tables and progress in a terminal, aligned plain text elsewhere, JSON when asked.

Results go to stdout, everything about the way there to stderr, so that a pipe gets the result alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import Any, Protocol

import click

GAP = 3  # spaces between columns
STYLES = {"ready": "green", "failed": "red", "progress": "yellow", "": ""}


def as_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], whole: bool = False) -> None:
    """Print rows under their columns: with colours and rules in a terminal, aligned by spaces elsewhere.

    `whole`: no cell is divided; where the terminal is too narrow it wraps the lines itself, and an address can be copied.
    """
    widths = [max(len(row[at]) for row in [columns, *rows]) for at in range(len(columns))]
    room = get_terminal_size().columns - GAP * len(widths)
    if not sys.stdout.isatty() or (whole and sum(widths) > room):
        for row in [[name.upper() for name in columns], *rows]:
            click.echo((" " * GAP).join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(*columns, box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for row in rows:
        shown.add_row(*(Text(cell, STYLES.get(_mood(cell), "")) for cell in row))
    Console(highlight=False).print(shown)


def note(text: str, mood: str = "") -> None:
    """Say something about the way to the result, on stderr: "ready", "failed", "progress" or "" gives its colour."""
    click.secho(text, err=True, fg=STYLES[mood] or None)


def ago(moment: str) -> str:
    """How long ago an RFC 3339 moment was, in its largest unit: "3m"; "" when it is none."""
    try:
        then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    except ValueError:
        return ""
    seconds = max(0, int((datetime.now(UTC) - then).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


class Progress(Protocol):
    """Where the steps of a deployment are shown."""

    def step(self, text: str, mood: str = "") -> None:
        """A step that was done or failed stays on the screen; "progress" is what goes on now."""


class Lines:
    """Progress as one line for each step, on stderr."""

    def step(self, text: str, mood: str = "") -> None:
        note(text, mood)


class Spinner:
    """Progress as lines of what is done, and below them a spinner with what goes on now."""

    def __init__(self, status: Any) -> None:
        self._status = status

    def step(self, text: str, mood: str = "") -> None:
        from rich.text import Text

        if mood == "progress":
            self._status.update(Text(text))
        else:
            self._status.console.print(Text(text, STYLES[mood]))


@contextmanager
def progress() -> Iterator[Progress]:
    """A spinner in a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console

    with Console(stderr=True, highlight=False).status("") as status:
        yield Spinner(status)


def _mood(cell: str) -> str:
    return {"Ready": "ready", "Failed": "failed", "Deploying": "progress", "Deleting": "progress"}.get(cell.partition(" ")[0], "")
