"""The claim on a data folder: one platform at a time, whose lock file tells commands where it listens.

The claim is flock(2)'s, so it ends with the process however that ends; what the file says is only for reading.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path
from types import TracebackType

from cloudbase.errors import FolderTaken, Misused
from cloudbase.place import read_state
from cloudbase.settings import Address


class Claim:
    """Holds the data folder from `__init__` to `release`. Raises FolderTaken, Misused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            hint = "choose another data folder with --data DIR"
            raise Misused(f"cannot work in the data folder {folder}: {error.strerror}", hint) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise _taken(folder) from error

    def announce(self, listen: Address, admin: Address) -> None:
        """Write where this process listens, for commands that look for it."""
        self._write(json.dumps({"pid": os.getpid(), "listen": str(listen), "admin": str(admin)}) + "\n")

    def release(self) -> None:
        """Give the folder back. The file stays: removing it would let two claims hold two files of one name."""
        self._write("")
        os.close(self._file)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def _write(self, text: str) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode(), 0)


def token(folder: Path) -> str:
    """The folder's bearer token, made (mode 0600) when there is none yet. Raises Misused when it cannot be read."""
    path = folder / "token"
    try:
        if found := path.read_text().strip():
            return found
    except FileNotFoundError:
        pass  # made below
    except OSError as error:
        raise Misused(f"cannot read the token {path}: {error.strerror}", "choose another data folder with --data DIR") from error
    made = secrets.token_urlsafe(32)
    # written whole under another name first, so that no command ever reads half a token
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(made + "\n")
    fresh.replace(path)
    return made


def _taken(folder: Path) -> FolderTaken:
    state = read_state(folder)
    who = (
        f"the platform with pid {state['pid']}, which listens on {state.get('listen')}" if "pid" in state else "another platform"
    )
    return FolderTaken(f"the data folder {folder} is in use by {who}", "stop that one, or choose another folder with --data DIR")
