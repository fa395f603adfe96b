"""Imports the function's code and brings it, whatever its form, to an ASGI application."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from _cloudbase_runtime.asgi import Application
from _cloudbase_runtime.entry import Entry
from _cloudbase_runtime.handler import HandlerApplication, is_async
from _cloudbase_runtime.process import Failure
from _cloudbase_runtime.settings import Settings

PACKAGES = ".packages"  # where the build installs dependencies


@dataclass(frozen=True)
class Loaded:
    """A function ready to be served."""

    application: Application
    is_asgi: bool  # speaks lifespan and WebSocket itself


def prepare_path(folder: Path, entry: Entry) -> None:
    """Puts the function's own modules first, then what was installed for it."""
    places = [folder, folder / PACKAGES]
    if entry.file is not None and entry.file.parent != folder:
        places.insert(0, entry.file.parent)
    sys.path[:0] = [str(place) for place in places]


def load(entry: Entry, settings: Settings, folder: Path) -> Loaded:
    """Runs the code. Raises Failure with what is wrong, file and line in it."""
    try:
        module = _import(entry)
    except BaseException as error:
        raise explain(error, folder) from error
    where = f"{entry.module or entry.file.name if entry.file else entry.module}"
    target = getattr(module, entry.name, None)
    if not callable(target):
        raise Failure("NoHandler", f"{where} has nothing to call named {entry.name}")
    return _adapt(target, f"{where}:{entry.name}", entry.name, settings)


def _import(entry: Entry) -> ModuleType:
    if entry.file is None:
        return importlib.import_module(entry.module)
    name = entry.file.stem
    spec = importlib.util.spec_from_file_location(name, entry.file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)  # a file named as a module of the standard library does not replace it
    spec.loader.exec_module(module)
    return module


def _adapt(target: Any, where: str, name: str, settings: Settings) -> Loaded:
    arguments = _arguments(target)
    if arguments == 3:
        return Loaded(target, is_asgi=True)
    pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="request")
    if arguments == 1:
        return Loaded(HandlerApplication(target, pool, settings.body_limit), is_asgi=False)
    if arguments == 2 and name != "handler" and not is_async(target):
        from _cloudbase_runtime.wsgi import WsgiApplication

        return Loaded(WsgiApplication(target, pool), is_asgi=False)
    raise Failure(
        "NoHandler", f"{where} takes {arguments} arguments: a handler takes 1 (the request), a WSGI app 2, an ASGI app 3"
    )


def _arguments(target: Any) -> int:
    """How many arguments a call needs; 2 (WSGI) for what cannot tell."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return 2
    if inspect.isclass(target):
        return 0
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind == p.VAR_POSITIONAL for p in parameters) and not positional:
        return 3 if is_async(target) else 2
    needed = sum(p.default is p.empty for p in positional)
    return needed or len(positional)


def explain(error: BaseException, folder: Path) -> Failure:
    """What code that threw while it was loaded means, in the contract's reasons."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, SyntaxError):
        return Failure("SyntaxError", f"{_short(error.filename or '?', folder)}:{error.lineno}: {error.msg}")
    where = _place(error, folder)
    if isinstance(error, ModuleNotFoundError):
        what = f"{where} needs the module {error.name!r}, which is not installed: add it to requirements.txt"
        return Failure("MissingDependency", what)
    return Failure("LoadFailed", f"{where} threw while it was loaded: {type(error).__name__}: {error}")


def _place(error: BaseException, folder: Path) -> str:
    """The innermost line of the function's own code."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(str(folder))]
    own = [f for f in frames if PACKAGES not in f.filename] or frames
    return f"{_short(own[-1].filename, folder)}:{own[-1].lineno}" if own else "the function"


def _short(filename: str, folder: Path) -> str:
    try:
        return str(Path(filename).relative_to(folder))
    except ValueError:
        return filename
