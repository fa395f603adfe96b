"""A last look before a request leaves: whether those who send it still may. Set around writes that only a leader may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CHECK: ContextVar[Callable[[], None] | None] = ContextVar("fence", default=None)


@contextmanager
def fenced(check: Callable[[], None]) -> Iterator[None]:
    """Every request sent inside, by this task or one that it starts, first calls `check`, which raises to forbid it."""
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)


def check_fence() -> None:
    """Called with no await between it and the bytes going out."""
    check = _CHECK.get()
    if check is not None:
        check()
