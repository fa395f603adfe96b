"""The Python runtime of Cloudbase Serverless: serves one function by its contract. Standard library only, Python >= 3.9."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _cloudbase_runtime.messages import Request, Response

__all__ = ["Request", "Response"]


def __getattr__(name: str) -> object:
    """The two names for functions that like types; loaded when asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from _cloudbase_runtime import messages

    return getattr(messages, name)
