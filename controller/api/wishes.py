"""What a request to the API wants, as a question to who keeps the door. Pure.

Whatever is not known asks for more rather than less, so that a path which is added later is not open by mistake.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.ports import Wish

FUNCTIONS = "/api/v1/functions"
DESCRIPTION = "/api/v1/openapi.json"
EVERYWHERE = "*"  # as a namespace: all of them
_READS = ("GET", "HEAD")


def wish(method: str, path: str, namespace: str, exists: Callable[[str, str], bool]) -> Wish:
    """The wish of one request. `namespace` as asked for or by default; `exists(namespace, name)` tells create from update."""
    if path == DESCRIPTION and method in _READS:
        return Wish()
    where = "" if namespace == EVERYWHERE else namespace
    name, _, part = path.removeprefix(FUNCTIONS).lstrip("/").partition("/")
    if not path.startswith(FUNCTIONS) or not name:
        return Wish("list" if method in _READS else "create", where)
    verb = _verb(method, bool(part), exists(where, name))
    return Wish(verb, where, "" if verb == "create" else name)  # as Kubernetes asks: what is to come has no name yet


def _verb(method: str, part: bool, exists: bool) -> str:
    if method in _READS:
        return "get"
    if method == "DELETE" and not part:
        return "delete"
    return "create" if method == "PUT" and not part and not exists else "update"
