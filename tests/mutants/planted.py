"""Defects to plant: each removes one check of the data plane, or of what routers agree on. A test that
does not fail on one of these proves nothing.

`tests` are the arguments of pytest that should catch it, fastest first; `old` stands exactly once in the file.
"""

from __future__ import annotations

from tests.mutants.exchange import EXCHANGES
from tests.mutants.http1 import HTTP1
from tests.mutants.slots import ROUTERS, WORKERS
from tests.mutants.wires import WIRES

DEFECTS = (*HTTP1, *EXCHANGES, *WIRES, *ROUTERS, *WORKERS)
