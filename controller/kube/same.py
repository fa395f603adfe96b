"""Whether an object is as we want it, so that nothing is written where nothing would change. Pure.

What others added is theirs (defaults of the API server, labels, a sidecar): only what we want has to be there, as we want it.
"""

from __future__ import annotations

from typing import Any

from controller import quantity


def covers(found: Any, wanted: Any, key: str = "") -> bool:
    """Everything in `wanted` is in `found`. Lists of objects may have more, in any order; other lists are equal."""
    if isinstance(wanted, dict):
        return _object(found, wanted, key)
    if isinstance(wanted, list):
        return _list(found, wanted)
    if key in ("cpu", "memory") and isinstance(found, str):
        return quantity.parse(found) == quantity.parse(str(wanted))
    return bool(found == wanted)


def _object(found: Any, wanted: dict[str, Any], key: str) -> bool:
    if not isinstance(found, dict):
        return not wanted and found is None
    return all(covers(found.get(name), value, name) for name, value in wanted.items())


def _list(found: Any, wanted: list[Any]) -> bool:
    if not wanted:
        return not found
    if not isinstance(found, list | tuple):
        return False
    if isinstance(wanted[0], dict):
        return all(any(covers(each, one) for each in found) for one in wanted)
    return list(found) == wanted
