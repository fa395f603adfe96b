"""A function's folder: it is there, and it is not everything that somebody has."""

from __future__ import annotations

from pathlib import Path

from cloudbase.errors import Misused

FILE = "cloudbase.toml"  # the function's settings
DATABASE = "cloudbase.db"  # of a platform, in its data folder


def expect_folder(folder: Path) -> None:
    """Raises Misused where there is none, or where it holds the user's home and no cloudbase.toml says that it is meant."""
    if folder.exists() and not folder.is_dir():
        raise Misused(f"{folder} is a file, not a folder", "give the function's folder")
    if not folder.is_dir():
        raise Misused(f"{folder} is not there", "give the function's folder; `cloudbase update NAME` changes settings without it")
    if _holds_home(folder) and not (folder / FILE).is_file():
        where, verb = folder.resolve(), "is" if folder.resolve() == _home() else "holds"
        raise Misused(
            f"{where} {verb} your home folder: all of it would be deployed",
            f"give the function's folder; if it is this one, write a {FILE} into it",
        )


def holds_data(folder: Path) -> bool:
    """Whether it is a platform's data folder, whatever its name: with functions' sources, and the token."""
    return (folder / DATABASE).is_file()


def _holds_home(folder: Path) -> bool:
    home = _home()
    return home is not None and home.is_relative_to(folder.resolve())


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:  # this user has none
        return None
