"""Makes the Python runtime's private package importable, as its own start does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "runtimes" / "python"))
