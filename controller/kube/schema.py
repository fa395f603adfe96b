"""A structural OpenAPI schema (apiextensions.k8s.io/v1) from our structs: types, defaults, required fields, bounds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

Schema = dict[str, Any]

_TYPES: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer", "format": "int32"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}


def schema(kind: Any, more: Mapping[str, Schema], defaults: bool = True, path: str = "") -> Schema:
    """Of a type. `more` has keywords by the field's dotted path ("scaling.min"; "[]" are a list's items)."""
    kind = _without_none(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        found = _struct(kind, more, defaults, path)
    elif origin is Literal:
        found = {"type": "string", "enum": list(arguments)}
    elif origin is tuple:
        found = {"type": "array", "items": schema(arguments[0], more, defaults, f"{path}[]")}
    elif origin is dict:
        found = {"type": "object", "additionalProperties": schema(arguments[1], more, defaults, f"{path}{{}}")}
    else:
        found = dict(_TYPES[kind])
    return {**found, **more.get(path, {})}


def _struct(kind: type[msgspec.Struct], more: Mapping[str, Schema], defaults: bool, path: str) -> Schema:
    properties: Schema = {}
    required: list[str] = []
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        properties[name] = schema(field.type, more, defaults, f"{path}.{name}" if path else name)
        if field.required:
            required.append(name)
        elif defaults and (default := _default(field)) is not None:
            properties[name]["default"] = default
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """What is filled in; nothing for what is empty by default, so that a document stays as short as it was written."""
    if isinstance(field.default, msgspec.Struct):
        return msgspec.to_builtins(field.default)
    if field.default in (msgspec.NODEFAULT, None, "", ()):
        return None
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _without_none(kind: Any) -> Any:
    arguments = [each for each in get_args(kind) if each is not type(None)]
    return arguments[0] if type(None) in get_args(kind) else kind
