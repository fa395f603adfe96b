"""One schema and one validation of functions, for the API and for Kubernetes' admission: both say the same words.

Pure: `decode` reads a document's shape, `validate` judges its sense. Fields are named as the user wrote them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin

import msgspec

from autoscaler.model import Policy
from controller import quantity
from controller.errors import FieldError, Invalid
from controller.model import FunctionSpec

RUNTIMES = ("node", "python")
NAME_LENGTH = 52  # characters: "<name>-00001" and what Kubernetes appends to it must be labels (63) as well
REPLICAS = 1000  # no function may ask for more
CONCURRENCY = 10_000  # requests in flight in one replica
SECONDS = 86_400.0  # no time budget is longer than a day
ENV_BYTES = 256 << 10  # of all variables together; Linux takes 128 KiB in one string and 2 MiB in all
ENV_VALUE_BYTES = 64 << 10
MEMORY_MINIMUM = 16 << 20  # bytes: below that neither runtime starts
CPU_MINIMUM = 0.01

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_WANTED = {int: "a whole number", float: "a number", str: "text", dict: "an object", tuple: "a list", bool: "true or false"}
_GOT = {str: "text", dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}

Errors = Iterator[FieldError]


def decode(document: object) -> FunctionSpec:
    """A spec from decoded JSON. Raises Invalid with every unknown, missing or mistyped field, near matches suggested."""
    if errors := list(_shape(document, FunctionSpec, "")):
        raise Invalid(errors)
    return msgspec.convert(document, FunctionSpec)


def validate(name: str, spec: FunctionSpec) -> list[FieldError]:
    """Everything about the function that cannot work, in the order of its fields; [] when it can."""
    return [error for rule in _RULES for error in rule(name, spec)]


def policy(spec: FunctionSpec) -> Policy:
    """What the spec's scaling means to the autoscaler.

    Targets are Knative's defaults: 70 % of 100 in flight, of a hard limit where there is one, or of 200 requests/s.
    """
    scaling = spec.scaling
    usual = 140.0 if scaling.metric == "rps" else 0.7 * (spec.concurrency or 100)
    return Policy(
        minimum=scaling.min,
        maximum=scaling.max,
        metric=scaling.metric,
        target=scaling.target or usual,
        idle_grace=scaling.idle_grace,
    )


def label(text: str, what: str = "a name") -> str:
    """Why `text` is no DNS label that functions may have (RFC 1123); "" when it is one."""
    if not text:
        return f"is missing: give {what} of lower-case letters, digits and -"
    if len(text) > NAME_LENGTH:
        return f"has {len(text)} characters: {NAME_LENGTH} are allowed, so that its revisions' names are DNS labels too"
    if not _LABEL.fullmatch(text):
        return f'is not a DNS label: "{text}"; use lower-case letters, digits and -, beginning and ending with a letter or digit'
    return ""


def _shape(value: object, kind: Any, path: str) -> Errors:
    """Errors of shape in one value, fields of structs each for itself, so that all are reported."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        yield from _leaf(value, kind, path)
    elif not isinstance(value, dict):
        yield FieldError(path or "spec", f"must be an object, was {_kind(value)}")
    else:
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        yield from (FieldError(_join(path, key), _unknown(key, list(fields))) for key in value if key not in fields)
        for key, field in fields.items():
            if key in value:
                yield from _shape(value[key], field.type, _join(path, key))
            elif field.required:
                yield FieldError(_join(path, key), "is missing")


def _leaf(value: object, kind: Any, path: str) -> Errors:
    arguments = get_args(kind)
    if get_origin(kind) is tuple and isinstance(value, list):
        for index, each in enumerate(value):
            yield from _shape(each, arguments[0], f"{path}[{index}]")
    elif get_origin(kind) is dict and isinstance(value, dict):
        for key, each in value.items():
            yield from _shape(each, arguments[1], f"{path}.{key}")
    elif get_origin(kind) is Literal:
        if value not in arguments:
            yield FieldError(path, f"must be {' or '.join(arguments)}, was {_quoted(value)}")
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


def _name(name: str, spec: FunctionSpec) -> Errors:
    if problem := label(name):
        yield FieldError("name", problem)


def _runtime(name: str, spec: FunctionSpec) -> Errors:
    if spec.runtime not in RUNTIMES:
        near = difflib.get_close_matches(spec.runtime.lower(), RUNTIMES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        yield FieldError("runtime", f'there is no runtime "{spec.runtime}": use {" or ".join(RUNTIMES)}{hint}')


def _source(name: str, spec: FunctionSpec) -> Errors:
    if not spec.source:
        yield FieldError("source", "is missing: send the function's files along")
    elif not _DIGEST.fullmatch(spec.source):
        yield FieldError("source", f'is not a digest: "{spec.source}"; it is sha256: and 64 hexadecimal digits')


def _entry(name: str, spec: FunctionSpec) -> Errors:
    parts = spec.entry.split("/")
    if spec.entry and (".." in parts or "" in parts or "\0" in spec.entry or "\\" in spec.entry):
        yield FieldError("entry", f'is not a path inside the source: "{spec.entry}"')


def _env(name: str, spec: FunctionSpec) -> Errors:
    for key, value in spec.env.items():
        if problem := _variable(key, value):
            yield FieldError(f"env.{key}", problem)
    if sum(len(key) + len(value.encode()) + 2 for key, value in spec.env.items()) > ENV_BYTES:
        yield FieldError("env", f"is larger than {ENV_BYTES >> 10} KiB in all: put large values into a file")


def _variable(key: str, value: str) -> str:
    if not _ENV_NAME.fullmatch(key):
        return "is not a name of an environment variable: use letters, digits and _, not beginning with a digit"
    if key == "PORT" or key.startswith("CLOUDBASE_"):
        return "is set by the platform: choose another name"
    if "\0" in value:
        return "must not have a NUL character in its value"
    return f"is longer than {ENV_VALUE_BYTES >> 10} KiB" if len(value.encode()) > ENV_VALUE_BYTES else ""


def _scaling(name: str, spec: FunctionSpec) -> Errors:
    scaling = spec.scaling
    yield from _within("scaling.min", scaling.min, 0, REPLICAS)
    yield from _within("scaling.max", scaling.max, 1, REPLICAS)
    yield from _within("scaling.initial", scaling.initial, 0, REPLICAS)
    yield from _within("scaling.idleGrace", scaling.idle_grace, 0, SECONDS)
    yield from _within("scaling.target", scaling.target, 0, 1e6)
    if scaling.min > scaling.max:
        yield FieldError("scaling.min", f"is {scaling.min}, above scaling.max, which is {scaling.max}")
    if 1 <= scaling.max < scaling.initial:
        yield FieldError("scaling.initial", f"is {scaling.initial}, above scaling.max, which is {scaling.max}")
    if scaling.metric == "concurrency" and 0 < spec.concurrency < scaling.target:
        yield FieldError(
            "scaling.target", f"is {scaling.target:g}, which the hard limit concurrency of {spec.concurrency} never lets it reach"
        )


def _resources(name: str, spec: FunctionSpec) -> Errors:
    measures: tuple[tuple[str, str, Callable[[str], float], float, str], ...] = (
        ("resources.memory", spec.resources.memory, quantity.memory_bytes, MEMORY_MINIMUM, "16Mi"),
        ("resources.cpu", spec.resources.cpu, quantity.cpus, CPU_MINIMUM, "10m"),
    )
    for field, text, measure, least, words in measures:
        try:
            if measure(text) < least:
                yield FieldError(field, f"must be at least {words}, was {text}")
        except ValueError as error:
            yield FieldError(field, str(error))


def _times(name: str, spec: FunctionSpec) -> Errors:
    yield from _within("timeout", spec.timeout, 0, SECONDS)
    yield from _within("idleTimeout", spec.idle_timeout, 0, SECONDS)
    yield from _within("maxDuration", spec.max_duration, 0, SECONDS)
    yield from _within("drainTimeout", spec.drain_timeout, 0, SECONDS)
    if 0 < spec.max_duration < spec.timeout:
        yield FieldError(
            "maxDuration",
            f"is {spec.max_duration:g} s, shorter than timeout, which is {spec.timeout:g} s: the timeout could never be used",
        )
    if spec.drain_timeout < spec.timeout:
        yield FieldError(
            "drainTimeout",
            f"is {spec.drain_timeout:g} s, shorter than timeout, which is {spec.timeout:g} s: an update would cut requests off",
        )


def _concurrency(name: str, spec: FunctionSpec) -> Errors:
    yield from _within("concurrency", spec.concurrency, 0, CONCURRENCY)


def _triggers(name: str, spec: FunctionSpec) -> Errors:
    if spec.type == "EVENT" and not spec.triggers:
        yield FieldError("triggers", "is empty: a function of type EVENT needs at least one")
    if spec.type == "HTTP" and spec.triggers:
        yield FieldError("triggers", "must be empty for a function of type HTTP: set type to EVENT")
    for index, trigger in enumerate(spec.triggers):
        for field in ("broker", "subject"):
            if not getattr(trigger, field).strip():
                yield FieldError(f"triggers[{index}].{field}", "is empty")
        if trigger in spec.triggers[:index]:
            yield FieldError(f"triggers[{index}]", f"is the same as triggers[{spec.triggers.index(trigger)}]")


def _within(field: str, value: float, least: float, most: float) -> Errors:
    if not least <= value <= most:
        yield FieldError(field, f"must be from {least:g} to {most:g}, was {value:g}")


_RULES: tuple[Callable[[str, FunctionSpec], Errors], ...] = (
    _name,
    _runtime,
    _source,
    _entry,
    _env,
    _scaling,
    _resources,
    _times,
    _concurrency,
    _triggers,
)
