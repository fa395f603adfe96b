"""What a function's folder asks for: `cloudbase.toml` and the flags over it, as the `spec` of the management API.

The file has the fields of the API's spec (docs/function.md) and `name`; the platform judges them, so that there is one set of
words for it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cloudbase.errors import Misused
from cloudbase.folder import FILE, expect_folder

_NODE = ("package.json", "*.js", "*.mjs", "*.cjs")
_PYTHON = ("requirements.txt", "pyproject.toml", "*.py")


def read(folder: Path) -> dict[str, Any]:
    """The table in `cloudbase.toml`; {} without one. Raises Misused with the line that is wrong."""
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misused(
            f"cannot read {path}: {error}", 'text stands in quotes (name = "hello"); docs/function.md has the fields'
        ) from error


def function(
    folder: Path,
    name: str | None,
    runtime: str | None,
    env: Iterable[str],
    scaling: dict[str, Any],
    image: str | None = None,
) -> tuple[str, dict[str, Any]]:
    """(name, spec): the file's table, with what the flags say over it. Raises Misused.

    `env` holds NAME=VALUE; `scaling` holds fields of the spec's scaling, None for those not given. With an image there is no
    runtime, and its name is the function's unless another is given.
    """
    spec = read(folder)
    stated = name or spec.get("name") or (image and image_name(image))
    spec.pop("name", None)
    if image:
        spec["image"] = image
    if runtime or not spec.get("image"):
        spec["runtime"] = runtime or spec.get("runtime") or detect(folder)
    _merge(spec, "env", variables(env))
    _merge(spec, "scaling", {key: value for key, value in scaling.items() if value is not None})
    return str(stated or usual_name(folder)), spec


def variables(env: Iterable[str]) -> dict[str, str]:
    """NAME=VALUE texts as a mapping. Raises Misused."""
    found = {}
    for text in env:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise Misused(f"--env {text!r} is not NAME=VALUE", "write for example --env GREETING=hello")
        found[key] = value
    return found


def sent(spec: dict[str, Any]) -> bool:
    """Whether the function's source is the folder; else it is an image, or a repository that the platform fetches."""
    return not (spec.get("image") or spec.get("git"))


def image_name(image: str) -> str:
    """An image's own name, without registry, tag and digest: "ghcr.io/some/thing:1" is "thing"."""
    return re.sub(r"[:@].*", "", image.rpartition("/")[2])


def detect(folder: Path) -> str:
    """The runtime, by the files at the top of the folder: where they tell neither or both, a Dockerfile counts.

    Raises Misused where there is none either, or no folder.
    """
    expect_folder(folder)
    node = any(_there(folder, pattern) for pattern in _NODE)
    python = any(_there(folder, pattern) for pattern in _PYTHON)
    if node != python:
        return "node" if node else "python"
    if (folder / "Dockerfile").is_file():
        return "dockerfile"
    what = "files of both runtimes" if node else "no file that tells the runtime"
    raise Misused(f"{folder} has {what}", f'give --runtime node or --runtime python, or write runtime = "node" into {FILE}')


def usual_name(folder: Path) -> str:
    """The folder's name as a function's name: lower case, everything but letters and digits one "-"."""
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")


def _there(folder: Path, pattern: str) -> bool:
    return any(path.is_file() for path in folder.glob(pattern))


def _merge(spec: dict[str, Any], key: str, over: dict[str, Any]) -> None:
    if not over:
        return
    under = spec.get(key, {})
    if not isinstance(under, dict):
        raise Misused(f"{FILE}: {key} must be a table, was {under!r}", f"write it as [{key}]")
    spec[key] = under | over
