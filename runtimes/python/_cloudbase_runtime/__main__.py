"""Starts the runtime from its folder: `python -S …/_cloudbase_runtime`. Leaves sys.path to the function."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from _cloudbase_runtime.main import main

    sys.path.pop(0)
    main()
