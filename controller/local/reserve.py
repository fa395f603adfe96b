"""Room on the disk for what must be possible when it is full: a file that can be let go, piece by piece. All blocking."""

from __future__ import annotations

import os
from pathlib import Path

SIZE = 512 << 10  # bytes: some ten functions can be deleted with it
PIECE = 32 << 10  # bytes


class Reserve:
    """The file at `path`. What cannot be had of it is not missed until the next `fill`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fill(self) -> None:
        """Take what is missing, as far as there is any. Random bytes: zeros would take no room on some file systems."""
        try:
            self._path.touch(mode=0o600)
            with self._path.open("ab") as file:
                file.write(os.urandom(max(0, SIZE - file.tell())))
        except OSError:
            pass  # full, or not to be written: then there is nothing to be had

    def give(self) -> bool:
        """Let a piece go; False when none is left."""
        try:
            left = self._path.stat().st_size
            os.truncate(self._path, max(0, left - PIECE))
        except OSError:
            return False
        return left > 0
