"""Which platform a command talks to: its address, its token and its data folder, found without being told where possible.

The data folder is `--data`, CLOUDBASE_DATA, or the nearest `.cloudbase` upward from the working folder. Its `lock` file says
where the platform listens, its `token` file lets us in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudbase.errors import Misused, NoPlatform
from cloudbase.settings import ADMIN, DATA, LISTEN, Address, address, variable


@dataclass(frozen=True, slots=True)
class Place:
    """A platform to talk to. `token` is empty when none was found: the platform then says 401."""

    admin: Address
    listen: Address
    token: str
    folder: Path | None = None

    @property
    def start_hint(self) -> str:
        """How to start the platform that did not answer."""
        other = self.admin != ADMIN and self.folder is None
        return f"start one with `cloudbase dev{f' --admin {self.admin}' if other else ''}`"


def find(data: str | None = None, admin: str | None = None, token: str | None = None, start: Path | None = None) -> Place:
    """The platform meant by the options, the environment and the folders upward from `start`. Raises Misused, NoPlatform."""
    folder = _folder(data or variable("data"), start or Path.cwd())
    state = read_state(folder) if folder else {}
    stated = admin or variable("admin")
    try:
        where = address(stated) if stated else address(state.get("admin", str(ADMIN)))
        traffic = address(variable("listen") or state.get("listen", str(LISTEN)))
    except ValueError as error:
        raise Misused(f"the platform's address {error}, was {stated!r}") from error
    return Place(where, traffic, token or variable("token") or _token(folder), folder)


def read_state(folder: Path) -> dict[str, Any]:
    """What the platform wrote into its lock file: {"pid", "listen", "admin"}; empty when there is none or it makes no sense."""
    try:
        state = json.loads((folder / "lock").read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _folder(stated: str | None, start: Path) -> Path | None:
    if stated:
        folder = Path(stated)
        if not folder.is_dir():
            raise NoPlatform(f"there is no data folder {folder}", f"start a platform with `cloudbase dev --data {folder}`")
        return folder
    return next((up / DATA for up in (start, *start.parents) if (up / DATA).is_dir()), None)


def _token(folder: Path | None) -> str:
    if folder is None:
        return ""
    try:
        return (folder / "token").read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        hint = "run this as the user who started the platform, or give --token"
        raise NoPlatform(f"cannot read the token in {folder / 'token'}: {error}", hint) from error
