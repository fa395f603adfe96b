"""Which build of this source runs: the plain one, or the one that `python -m router.compile` made of the same files.

A compiled build lies beside the source, in a folder for each interpreter, with a digest of every file that it was made of. It is
used only while all of them are as they were: an edit is never hidden by an old build. CLOUDBASE_PLAIN=1 leaves it alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

PLAIN = "plain"
COMPILED = "compiled"
STALE = "plain: the compiled build is older than its source"
PACKAGE = Path(__file__).resolve().parent
BUILDS = PACKAGE / "_compiled"
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX") or ".so")  # it names interpreter, version and machine
MANIFEST = "manifest.json"


class Finder(MetaPathFinder):
    """Finds the modules of a compiled build before those of the source."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files  # by module

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """As MetaPathFinder.find_spec."""
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def choose_build(environ: Mapping[str, str] = os.environ) -> str:
    """Use the compiled build if there is one for this source and interpreter; returns which build runs, for the log."""
    folder = folder_of()
    if environ.get("CLOUDBASE_PLAIN") or not (folder / MANIFEST).exists():
        return PLAIN
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        source, modules = manifest["source"], manifest["modules"]
        files = {name: folder / file for name, file in manifest["files"].items()}
    except (OSError, ValueError, KeyError):
        return STALE
    if source != digest(modules) or not all(file.exists() for file in files.values()):
        return STALE
    sys.meta_path.insert(0, Finder(files))
    return COMPILED


def folder_of(builds: Path = BUILDS) -> Path:
    """Where this interpreter's build lies."""
    return builds / SUFFIX.strip(".").removesuffix(".so")


def source_of(module: str) -> Path:
    """The source file of `router.<...>`."""
    return PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")


def digest(modules: Sequence[str]) -> str:
    """Of the names and sources of these modules; empty when one is missing."""
    whole = hashlib.sha256()
    try:
        for module in modules:
            whole.update(module.encode() + b"\0" + source_of(module).read_bytes() + b"\0")
    except OSError:
        return ""
    return whole.hexdigest()
