"""What can go wrong with workers."""

from __future__ import annotations


class WorkerFailed(Exception):
    """A worker ended before it accepted anybody; its own words are in the log."""
