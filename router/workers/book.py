"""Memory that several processes of a router have mapped: what a worker counts and the control process reads, and what waits.

Files without blocks behind mappings: what was never written takes addresses and no memory, so that there is room for more
functions than any cluster has. A page of counters is used when its first function is called.
"""

from __future__ import annotations

import mmap
import os
import tempfile

from router.meters import PAGE

PAGES = 262_144  # functions with counters of their own: 384 MiB of addresses for each worker


def make(size: int = PAGE * PAGES) -> int:
    """A descriptor of so many bytes of zeroed memory, which a child may inherit."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("router")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


def view(fd: int) -> memoryview:
    """Map all of it."""
    return memoryview(mmap.mmap(fd, 0))


def open_book(fd: int) -> memoryview:
    """Map all of it, and close the descriptor."""
    try:
        return view(fd)
    finally:
        os.close(fd)
