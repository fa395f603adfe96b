"""The memory that a worker counts in and the control process reads: a page is used when its first function is called."""

from __future__ import annotations

import mmap
import os
import tempfile

from router.meters import PAGE

PAGES = 16_384  # functions with counters of their own


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
