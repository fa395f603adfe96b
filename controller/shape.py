"""Judges the shape of a document against a struct, field by field, so that everything wrong is told at once. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import msgspec

from controller.errors import FieldError

_WANTED = {int: "a whole number", float: "a number", str: "text", dict: "an object", tuple: "a list", bool: "true or false"}
_GOT = {str: "text", dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}

Errors = Iterator[FieldError]


def errors(value: object, kind: Any, path: str = "", whole: str = "spec") -> Errors:
    """Errors of shape in one value, those of all its fields; `whole` names the value itself where it has no path."""
    if type(None) in get_args(kind):
        if value is None:
            return
        (kind,) = (each for each in get_args(kind) if each is not type(None))
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        yield from _leaf(value, kind, path)
    elif not isinstance(value, dict):
        yield FieldError(path or whole, f"must be an object, was {_kind(value)}")
    else:
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        yield from (FieldError(_join(path, key), _unknown(key, list(fields))) for key in value if key not in fields)
        for key, field in fields.items():
            if key in value:
                yield from errors(value[key], field.type, _join(path, key))
            elif field.required:
                yield FieldError(_join(path, key), "is missing")


def _leaf(value: object, kind: Any, path: str) -> Errors:
    arguments = get_args(kind)
    if get_origin(kind) is tuple and isinstance(value, list):
        for index, each in enumerate(value):
            yield from errors(each, arguments[0], f"{path}[{index}]")
    elif get_origin(kind) is dict and isinstance(value, dict):
        for key, each in value.items():
            yield from errors(each, arguments[1], f"{path}.{key}")
    elif get_origin(kind) is Literal:
        if value not in arguments:
            yield FieldError(path, f"must be {' or '.join(each or 'empty' for each in arguments)}, was {_quoted(value)}")
    else:
        yield from _scalar(value, kind, path)


def _scalar(value: object, kind: Any, path: str) -> Errors:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        wanted = get_origin(kind) or kind
        yield FieldError(path, f"must be {_WANTED.get(wanted, str(wanted))}, was {_kind(value)}")


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else _kind(value)


def _kind(value: object) -> str:
    return f"{value}" if type(value) in (int, float) else _GOT.get(type(value), type(value).__name__)


def _unknown(key: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(key), known, 1)
    return f"is not a field; did you mean {near[0]}?" if near else f"is not a field; there are {', '.join(sorted(known))}"


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
