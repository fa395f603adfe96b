"""Which dependencies a source has, as a key: those of one key are the same, and need not be installed again. Blocking.

Only where installing looks at nothing but manifests (controller.facts), and ran no script of a package's own: that may have
looked at the source, as Prisma's does at the schema.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from controller.archive import File, Tree
from controller.facts import NATIVE, NPM_FILES, PIP_FILES, WHOLE, facts
from controller.local import artifacts
from controller.local.toolchain import Toolchain
from runtimes.catalog import RUNTIMES

FRESH = 24 * 3600.0  # seconds for which they are taken again: where a manifest names no exact version, another may be there
_UV_FILES = ("uv.toml", "pyproject.toml")  # uv reads its settings from them
_SETTINGS = ("NPM_CONFIG_", "NODE_", "PIP_", "UV_")  # variables that installing goes by


def key(app: Path, tools: Toolchain, env: Mapping[str, str]) -> str:
    """Of the source in `app`; "" when its dependencies may be like no other's."""
    names = facts(_tree(app)).install(tools.runtime)
    if not names or WHOLE in names or (app / RUNTIMES[tools.runtime].packages).exists():
        return ""
    settings = sorted(f"{name}={value}" for name, value in env.items() if name.upper().startswith(_SETTINGS))
    manifests = [f"{name} {_hash(app / name)}" for name in (*names, *_UV_FILES) if (app / name).exists()]
    return artifacts.digest(tools.runtime, tools.version, *tools.installer, *settings, *manifests)


def plain(packages: Path, runtime: str) -> bool:
    """Whether what was installed came of manifests alone."""
    return packages.is_dir() and (runtime != "node" or not any(map(_special, _installed(packages))))


def _tree(app: Path) -> Tree:
    """As much of the source as facts are made of."""
    there = [app / name for name in (*NPM_FILES, *PIP_FILES, NATIVE) if (app / name).is_symlink() or (app / name).is_file()]
    tree = {path.name: File(link=str(path.readlink())) if path.is_symlink() else File(path.read_bytes()) for path in there}
    return tree | ({"node_modules/": File()} if (app / "node_modules").exists() else {})


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _installed(packages: Path) -> Iterator[object]:
    """What npm wrote of each package that it installed; one that is nothing known where it wrote nothing."""
    try:
        found = json.loads((packages / ".package-lock.json").read_bytes())["packages"]
        yield from found.values()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        yield None


def _special(package: object) -> bool:
    if not isinstance(package, dict):
        return True
    return bool(package.get("hasInstallScript") or package.get("link")) or str(package.get("resolved", "")).startswith("file:")
