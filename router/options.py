"""Settings as frozen data classes: a field's default tells its type, its metadata the meaning; flags and variables fill it.

The environment comes by argument. A value that cannot be is refused with where it stood, what it must be and what it was.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from typing import Any


class BadSetting(ValueError):
    """A setting that cannot be: the message names it, where it came from, and what it must be."""


def setting(default: Any, meaning: str, least: float | None = None) -> Any:
    """A field of a data class of settings; a number may be no smaller than `least`."""
    made = {"default_factory": lambda: dict(default)} if isinstance(default, Mapping) else {"default": default}
    return field(**made, metadata={"meaning": meaning, "least": least})


def check_least(settings: Any, prefix: str) -> None:
    """Hold every number to its least. Raises BadSetting, which names the variable."""
    for one in fields(settings):
        value, least = getattr(settings, one.name), one.metadata.get("least")
        if least is not None and not value >= least:
            raise BadSetting(f"{prefix}{one.name.upper()} must be at least {least:g}, was {value!r}")


def add_flags(parser: ArgumentParser, kind: type[Any], prefix: str = "") -> None:
    """A flag for each setting: --NAME, or --prefix-NAME."""
    for one in fields(kind):
        meaning = f"{one.metadata['meaning']} (default {_shown(default_of(one))})"
        metavar = one.name.rpartition("_")[2].upper()
        parser.add_argument(_flag(prefix, one.name), metavar=metavar, help=meaning.replace("%", "%%"))


def given(options: Mapping[str, Any], kind: type[Any], prefix: str = "") -> dict[str, str]:
    """Of what `add_flags` parsed, the texts that were given, by the setting's name."""
    texts = {one.name: options[f"{prefix}_{one.name}" if prefix else one.name] for one in fields(kind)}
    return {name: text for name, text in texts.items() if text is not None}


def stated(
    kind: type[Any], flags: Mapping[str, str], environ: Mapping[str, str], variables: str, prefix: str = ""
) -> dict[str, Any]:
    """What the flags (by the setting's name) say, and where they say nothing the variables, whose names begin with `variables`.

    Raises BadSetting.
    """
    values = {}
    for one in fields(kind):
        variable = variables + one.name.upper()
        if one.name in flags:
            values[one.name] = converted(default_of(one), flags[one.name], _flag(prefix, one.name))
        elif variable in environ:
            values[one.name] = converted(default_of(one), environ[variable], variable)
    return values


def converted(default: Any, value: Any, where: str) -> Any:
    """A value as the default's type: text from flags and variables, anything from TOML. Raises BadSetting."""
    words, read = next((words, read) for kind, words, read in _KINDS if isinstance(default, kind))
    try:
        return read(value)
    except (TypeError, ValueError) as error:
        raise BadSetting(f"{where} must be {words}, was {value!r}") from error


def default_of(one: Field[Any]) -> Any:
    """A setting's default; "" for one that has none."""
    if one.default is not MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not MISSING else ""


def _flag(prefix: str, name: str) -> str:
    return "--" + (f"{prefix}_{name}" if prefix else name).replace("_", "-")


def _shown(default: Any) -> str:
    if isinstance(default, Mapping):
        default = tuple(f"{name}={value}" for name, value in default.items())
    if isinstance(default, tuple):
        default = ",".join(default)
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default) or "none"


def _truth(value: Any) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    word = str(value).lower()
    if word not in known:
        raise ValueError
    return known[word]


def _number(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError
        return kind(value)

    return read


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _list(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(str(part).strip() for part in parts if str(part).strip())


def _map(value: Any) -> dict[str, str]:
    return {name.strip(): text.strip() for name, text in map(_pair, _list(value))}


def _pair(part: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not (name and equals):
        raise ValueError
    return name, value


_KINDS: tuple[tuple[type[Any], str, Callable[[Any], Any]], ...] = (  # the first that fits: a bool is an int, too
    (bool, "true or false", _truth),
    (int, "a whole number", _number(int)),
    (float, "a number", _number(float)),
    (str, "text", _text),
    (tuple, "a list", _list),
    (dict, "NAME=VALUE, separated by commas", _map),
)
