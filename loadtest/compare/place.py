"""Where the comparison keeps programs, configurations and logs, and which ports it uses: all it reads from the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path

KIT = Path(__file__).resolve().parent
HOME = Path(os.environ.get("BENCH_HOME") or KIT.parents[1] / ".cache/compare").absolute()
BIN = HOME / "bin"
VENV = HOME / "venv"
PORT = int(os.environ.get("BENCH_PORT") or 9000)  # the backend's; the router gets the next one, then the peers
UPSTREAM = f"127.0.0.1:{PORT}"


class Fault(Exception):
    """The run cannot go on; the message says why, and what to do."""


def fill(text: str, port: int, directory: Path = HOME) -> str:
    """Replace the @NAMES@ in a command or a configuration of the target that listens on `port`."""
    values = {
        "BIN": BIN,
        "VENV": VENV,
        "DIR": directory,
        "PORT": port,
        "LISTEN": f"127.0.0.1:{port}",
        "UPSTREAM": UPSTREAM,
        "UPSTREAM_PORT": PORT,
    }
    return re.sub(r"@([A-Z_]+)@", lambda match: str(values[match[1]]), text)
