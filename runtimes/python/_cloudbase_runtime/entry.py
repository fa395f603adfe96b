"""Finds what to run in a function's folder: a file (and a name in it), a module, or a command; and reads the file's top level."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _cloudbase_runtime.process import Failure

FILES = ("main.py", "handler.py", "function.py", "app.py", "wsgi.py", "asgi.py", "server.py")
NAMES = ("handler", "app", "application", "asgi", "wsgi")


@dataclass(frozen=True)
class Entry:
    """What to run. Without a name, a file is a program that listens by itself."""

    file: Path | None = None
    module: str = ""  # dotted; in place of a file
    name: str = ""
    command: str = ""


def find(folder: Path, entry: str) -> Entry:
    """What the setting `entry` means, or what the folder has without one. Raises Failure (EntryMissing, SyntaxError)."""
    if entry.startswith("$ "):
        return Entry(command=entry[2:])
    target, _, name = entry.partition(":")
    if target and not target.endswith(".py") and not (folder / f"{target}.py").is_file():
        if not name:
            raise Failure(
                "EntryMissing", f"entry {entry!r} names no file in the function's folder; a module needs a name: {entry}:app"
            )
        return Entry(module=target, name=name)
    file = _named(folder, target, entry) if target else _guess(folder)
    return Entry(file=file, name=name or _form(file, folder))


def _named(folder: Path, target: str, entry: str) -> Path:
    for file in (folder / target, folder / f"{target}.py"):
        if file.is_file():
            return file
    raise Failure("EntryMissing", f"entry {entry!r} names no file in the function's folder")


def _guess(folder: Path) -> Path:
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise Failure("EntryMissing", f"none of {', '.join(FILES)} in the function's folder; name its file in entry")


def _form(file: Path, folder: Path) -> str:
    """The name to call, "" when the file binds none of the known ones at its top level."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0)
        raise Failure("SyntaxError", f"{file.relative_to(folder)}:{line}: {getattr(error, 'msg', error)}") from error
    bound = set(_bound(tree.body))
    return next((name for name in NAMES if name in bound), "")


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """Names that the statements of a module bind. What stands under `if __name__ == …` is not run on import."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in statement.names)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            yield from _targets(statement)
        elif not (isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test)):
            for field in ("body", "orelse", "finalbody"):
                yield from _bound(getattr(statement, field, []))


def _targets(statement: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
