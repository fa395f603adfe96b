"""`cloudbase init`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from cloudbase import manifest
from cloudbase import output as shown
from cloudbase.errors import Misused

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), default=Path())
@click.option("--runtime", type=click.Choice(["node", "python"]), required=True, help="What the function is written in.")
def command(folder: Path, runtime: str) -> None:
    """Write a new function's folder.

    Files that are there already are never overwritten.
    """
    template = TEMPLATES / runtime
    files = sorted(path for path in template.rglob("*") if path.is_file())
    names = [path.relative_to(template).with_suffix("") for path in files]  # index.js.in -> index.js
    if taken := [name for name in names if (folder / name).exists()]:
        raise Misused(f"{folder / taken[0]} is there already", "give another folder; nothing was written")
    function = manifest.usual_name(folder) or "function"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, target in zip(files, names, strict=True):
            (folder / target).write_text(path.read_text().replace("{{name}}", function))
    except OSError as error:
        raise Misused(f"cannot write {error.filename}: {error.strerror}") from error
    shown.note(f"Wrote {', '.join(map(str, names))} in {folder}")
    click.echo(f"cloudbase deploy {quote(str(folder))}")
