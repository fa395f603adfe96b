"""docs/cli.md says what the command line does: every command, option, exit code and setting, and none that is not there."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import click
import pytest

from cloudbase import errors
from cloudbase.cli import LazyGroup
from cloudbase.settings import Settings

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text()
SECTIONS = {part.splitlines()[0]: part for part in PAGE.split("\n## ")[1:]}
SHARED = {
    "--data",
    "--data-dir",
    "--admin",
    "--token",
    "--server",
    "--context",
    "--namespace",
    "--help",
}  # in the section "Which platform"


def options(name: str) -> set[str]:
    command = import_module(f"cloudbase.commands.{LazyGroup.commands_known[name][0]}").command
    assert isinstance(command, click.Command)
    found = {flag for each in command.params if isinstance(each, click.Option) for flag in (*each.opts, *each.secondary_opts)}
    own = {"adopt": {"--namespace", "--context"}, "dev": {"--data", "--data-dir", "--admin"}, "invoke": {"--data"}}.get(
        name, set()
    )
    return found - (SHARED - own)


def first_cells(section: str) -> set[str]:
    rows = [line for line in SECTIONS[section].splitlines() if line.startswith("| `")]
    return {flag for row in rows for flag in re.findall(r"`(-[^`]+)`", row.split("|")[1])}


@pytest.mark.parametrize("name", LazyGroup.commands_known)
def test_every_option_of_a_command_is_documented_and_no_other(name: str) -> None:
    assert first_cells(f"cloudbase {name}") == options(name)


def test_every_exit_code_is_documented() -> None:
    known = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CommandError)}
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", SECTIONS["Exit codes"], re.MULTILINE)}
    assert documented == known | {0, 130}


def test_every_setting_is_documented_with_its_variable_and_key() -> None:
    rows = re.findall(r"^\| `--([a-z-]+)` \| `(CLOUDBASE_[A-Z_]+)` \| `([a-z-]+)`", SECTIONS["cloudbase dev"], re.MULTILINE)
    names = [field.name for field in fields(Settings)]
    assert rows == [(name.replace("_", "-"), f"CLOUDBASE_{name.upper()}", name.replace("_", "-")) for name in names]
