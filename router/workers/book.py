"""The memory that a worker counts in and the control process reads: a page is used when its first function is called.

A file without blocks behind a mapping: what was never written takes addresses and no memory, so that there is room for more
functions than any cluster has.
"""

from __future__ import annotations

import mmap
import os
import tempfile

from router.meters import PAGE

PAGES = 262_144  # functions with counters of their own: 384 MiB of addresses for each worker


def make() -> int:
    """A descriptor of zeroed memory that a child may inherit."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("router-meters")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, PAGE * PAGES)
    return fd


def open_book(fd: int) -> memoryview:
    """Map it, and close the descriptor."""
    try:
        return memoryview(mmap.mmap(fd, PAGE * PAGES))
    finally:
        os.close(fd)
