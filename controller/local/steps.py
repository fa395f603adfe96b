"""What has to be run to turn an unpacked source into an artifact: check the entry, install the dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.local.entry import SUFFIXES, package_json
from controller.local.toolchain import RuntimeUnavailable, Toolchain
from runtimes.catalog import RUNTIMES


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a build."""

    name: str  # as shown to the user: "npm ci"
    arguments: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False  # its failure does not fail the build, and nobody needs to read what it writes

    @property
    def kind(self) -> str:
        """One of controller.laps.KINDS."""
        return "check" if self.name.startswith("check of ") else self.name if self.name == "compile" else "dependencies"


def steps_for(app: Path, entry: str, tools: Toolchain, caches: Path) -> list[Step]:
    """The commands for the source in `app`, to be run in it. Raises BuildFailed, RuntimeUnavailable.

    The check comes first: it is quick, and an error in their own code is what users want to hear of first.
    """
    return _node(app, entry, tools, caches) if tools.runtime == "node" else _python(app, entry, tools, caches)


def warnings_for(app: Path, runtime: str) -> list[str]:
    """What the user should know though nothing failed."""
    if runtime == "node" and _has_dependencies(app) and not _has_lock(app):
        return [
            "warning: no package-lock.json, so versions are what the registry has today; commit the one that `npm install` writes"
        ]
    return []


def _node(app: Path, entry: str, tools: Toolchain, caches: Path) -> list[Step]:
    steps = []
    if entry.endswith(SUFFIXES["node"]):
        steps.append(Step(f"check of {entry}", (*tools.program, "--check", str(app / entry))))
    if not (_has_dependencies(app) or _has_lock(app)):
        return steps
    if not tools.installer:
        raise RuntimeUnavailable(
            "there is no npm on this machine: install it beside node, or deploy with node_modules in the source"
        )
    env = {
        "npm_config_cache": str(caches / "npm"),
        "XDG_CACHE_HOME": str(caches),  # node-gyp's headers
        "npm_config_fetch_retry_mintimeout": "500",  # ms
        "npm_config_fetch_retry_maxtimeout": "5000",  # ms
        "npm_config_update_notifier": "false",
    }
    verb = "ci" if _has_lock(app) else "install"
    quiet = ("--omit=dev", "--no-audit", "--no-fund", "--no-progress", "--loglevel=warn")
    return [*steps, Step(f"npm {verb}", (*tools.installer, verb, *quiet), env)]


def _python(app: Path, entry: str, tools: Toolchain, caches: Path) -> list[Step]:
    python, runtime = tools.program[0], RUNTIMES["python"]
    # unchecked-hash: an artifact never changes, so a compiled file need not be compared with its source at each start
    compile_all = (python, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
    steps = [Step("compile", (*compile_all, "."), optional=True)]
    if entry.endswith(SUFFIXES["python"]):
        steps.insert(0, Step(f"check of {entry}", (*compile_all, str(app / entry))))
    if not (app / runtime.locks[0]).exists():
        return steps
    if not tools.installer:
        raise RuntimeUnavailable(
            f"{python} has neither pip nor uv: run `{python} -m ensurepip`, or deploy without {runtime.locks[0]}"
        )
    env = {
        "PIP_CACHE_DIR": str(caches / "pip"),
        "UV_CACHE_DIR": str(caches / "uv"),
        "PIP_NO_INPUT": "1",
        "PIP_RETRIES": "2",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    target = ("--quiet", "--target", runtime.packages, "--requirement", runtime.locks[0])
    return [*steps, Step("pip install", (*tools.installer, "install", *target), env)]


def _has_lock(app: Path) -> bool:
    return any((app / lock).exists() for lock in RUNTIMES["node"].locks)


def _has_dependencies(app: Path) -> bool:
    """Dependencies are named, and not brought along in the source."""
    package = package_json(app)
    return not (app / "node_modules").is_dir() and bool(package.get("dependencies") or package.get("optionalDependencies"))
