"""Holds the documentation against the repository: links resolve, `make` targets and commands exist, README leads to every
page of docs/, and each block of commands says which test runs it. Run by `make docs`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.shared.commands_in_docs import unmarked

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MAKE = re.compile(r"(?:`|^    |\$ )make ([a-z][a-z-]*)", re.MULTILINE)
COMMAND = re.compile(r"(?:`|^    |\$ )(?:\.venv/bin/)?cloudbase ([a-z][a-z-]*)", re.MULTILINE)


def pages() -> list[Path]:
    """The Markdown files that git tracks."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> Iterator[str]:
    """Relative links whose file or heading is not there."""
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists():
            yield f"link to {target}: no such file"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"link to {target}: no such heading"


def reached(page: Path, known: set[Path] | None = None) -> set[Path]:
    """The pages that links lead to from this one, itself included; a link to a folder leads to all that lie in it."""
    known = known if known is not None else {page}
    names = {target.partition("#")[0] for target in LINK.findall(page.read_text())} - {""}
    for place in sorted((page.parent / name).resolve() for name in names):
        for found in sorted(place.glob("*.md")) if place.is_dir() else [place]:
            if found not in known and found.suffix == ".md" and found.is_file():
                known.add(found)
                reached(found, known)
    return known


def unknown_targets(text: str, targets: set[str]) -> Iterator[str]:
    """`make` targets that the Makefile does not have."""
    for name in MAKE.findall(text):
        if name not in targets:
            yield f"`make {name}`: the Makefile has no such target"


def unknown_commands(text: str, commands: set[str]) -> Iterator[str]:
    """`cloudbase` commands that the command line does not have."""
    for name in COMMAND.findall(text):
        if commands and name not in commands:
            yield f"`cloudbase {name}`: no such command"


def command_names() -> set[str]:
    """The commands of the command line."""
    import click

    from cloudbase.cli import main

    return set(main.list_commands(click.Context(main)))


def main() -> int:
    """Print what is wrong, a line each; 1 if anything is."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = command_names()
    wrong, there = 0, reached(ROOT / "README.md")
    for page in pages():
        text = page.read_text()
        messages = [*broken_links(page, text), *unknown_targets(text, targets), *unknown_commands(text, commands)]
        if page.parent.name != "changelog.d":
            messages += unmarked(page, text)
        if page.is_relative_to(ROOT / "docs") and page not in there:
            messages.append("nothing leads here from README.md: name it in the table there, or on a page of its subject")
        for message in messages:
            print(f"{page.relative_to(ROOT)}: {message}")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
