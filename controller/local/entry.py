"""Which file of a source holds the handler, by the rules of docs/runtime-contract.md, so that a build can check it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from controller.local.failures import BuildFailed

SUFFIXES = {"node": (".js", ".mjs", ".cjs"), "python": (".py",)}
DEFAULTS = {
    "node": ("index", "handler", "function", "server", "app", "main"),
    "python": ("main", "handler", "function", "app", "wsgi", "asgi", "server"),
}
_NODE_FILE = re.compile(r"node\s+(?P<file>[^\s-]\S*)")
_NAME = re.compile(r":[A-Za-z_$][\w$.]*$", re.ASCII)


def entry_file(app: Path, runtime: str, entry: str) -> str:
    """The file, relative to `app`; "" when a command starts the function. Raises BuildFailed: EntryMissing, SyntaxError."""
    if entry.startswith("$"):
        return ""
    if entry:
        return _named(app, runtime, entry)
    return _by_package(app) if runtime == "node" and package_json(app) else _by_name(app, runtime)


def package_json(app: Path) -> dict[str, object]:
    """package.json as an object; {} when there is none. Raises BuildFailed (SyntaxError) when it is not one."""
    try:
        content = json.loads((app / "package.json").read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise BuildFailed("SyntaxError", f"package.json is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise BuildFailed("SyntaxError", "package.json must hold an object")
    return content


def _named(app: Path, runtime: str, entry: str) -> str:
    """`FILE`, `FILE:NAME`, and for Python `package.module:NAME`."""
    name = _NAME.sub("", entry)
    candidates = [entry, name]
    if runtime == "python":
        module = name.replace(".", "/")
        candidates += [f"{module}.py", f"{module}/__init__.py"]
    for candidate in candidates:
        if _inside(app, candidate):
            return candidate
    raise BuildFailed("EntryMissing", f'the entry "{entry}" is not in the source; it has {_listing(app)}')


def _by_package(app: Path) -> str:
    """`scripts.start`, then `main`, then the default names."""
    package = package_json(app)
    scripts = package.get("scripts")
    start = scripts.get("start") if isinstance(scripts, dict) else None
    if isinstance(start, str):
        found = _NODE_FILE.fullmatch(start.strip())
        return _resolve(app, found["file"]) or "" if found else ""
    main = package.get("main")
    return (isinstance(main, str) and _resolve(app, main)) or _by_name(app, "node")


def _by_name(app: Path, runtime: str) -> str:
    names = [stem + suffix for stem in DEFAULTS[runtime] for suffix in SUFFIXES[runtime]]
    for name in names:
        if _inside(app, name):
            return name
    raise BuildFailed("EntryMissing", f"no entry file: name it {names[0]} or set `entry`; the source has {_listing(app)}")


def _resolve(app: Path, main: str) -> str | None:
    """A path as node resolves it: the file, with a suffix, or an index in the folder."""
    for candidate in (main, *(main + suffix for suffix in SUFFIXES["node"]), f"{main.rstrip('/')}/index.js"):
        if _inside(app, candidate):
            return candidate.removeprefix("./")
    return None


def _inside(app: Path, name: str) -> bool:
    path = (app / name).resolve()
    return path.is_file() and path.is_relative_to(app.resolve())


def _listing(app: Path) -> str:
    names = sorted(path.name for path in app.iterdir())
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") if names else "no files"
