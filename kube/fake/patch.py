"""JSON merge patch (RFC 7396) and server-side apply with field ownership, on plain manifests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Path = tuple[Any, ...]  # steps down the normal form: names of fields, identities of list items

# Lists that are maps of their items, by field and first key, as the built-in kinds declare them; others are replaced whole.
LIST_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "containers": (("name",),),
    "initContainers": (("name",),),
    "volumes": (("name",),),
    "volumeMounts": (("mountPath",),),
    "env": (("name",),),
    "conditions": (("type",),),
    "ownerReferences": (("uid",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
}
UNOWNED = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"), ("metadata", "resourceVersion")}


class Keyed(dict[Path, Any]):
    """A list whose items have identities, as a map; in the order of the list."""


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396: objects merge, null deletes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def owned(manifest: dict[str, Any]) -> dict[Path, Any]:
    """The fields that applying this manifest claims, each with the value that it wants."""
    return {path: value for path, value in _leaves(_normal(manifest), ()) if path not in UNOWNED}


def apply(live: dict[str, Any], wanted: dict[str, Any], given_up: set[Path]) -> dict[str, Any]:
    """The live object with the wanted fields in it and the given up ones gone."""
    result = _overlay(_normal(live), _normal(wanted))
    for path in given_up:
        result = _without(result, path)
    plain: dict[str, Any] = _plain(result)
    return plain


def dotted(path: Path) -> str:
    """As the API server names a field in a conflict: `.spec.containers[name="main"].image`."""
    return "".join(f".{step}" if isinstance(step, str) else "[" + ",".join(f'{k}="{v}"' for k, v in step) + "]" for step in path)


def _normal(value: Any, field: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _normal(item, name) for name, item in value.items()}
    if isinstance(value, list):
        for keys in LIST_KEYS.get(field, ()):
            if value and all(isinstance(item, dict) and keys[0] in item for item in value):
                return Keyed((_identity(keys, item), _normal(item)) for item in value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Keyed):
        return [_plain(item) for item in value.values()]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def _identity(keys: tuple[str, ...], item: dict[str, Any]) -> Path:
    return tuple((key, item.get(key, "TCP" if key == "protocol" else None)) for key in keys)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for step, item in value.items():
            yield from _leaves(item, (*path, step))
    else:
        yield path, value


def _overlay(live: Any, wanted: Any) -> Any:
    if not (isinstance(live, dict) and isinstance(wanted, dict) and type(live) is type(wanted)):
        return wanted
    merged = type(live)(live)
    for step, item in wanted.items():
        merged[step] = _overlay(live.get(step), item)
    return merged


def _without(value: Any, path: Path) -> Any:
    """Without that leaf, and without what becomes empty by it."""
    if not isinstance(value, dict) or path[0] not in value:
        return value
    rest = type(value)(value)
    child = _without(value[path[0]], path[1:]) if len(path) > 1 else None
    if child in (None, {}):
        del rest[path[0]]
    else:
        rest[path[0]] = child
    return rest
