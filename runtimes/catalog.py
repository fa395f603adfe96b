"""The runtimes there are: how each is started, and what its exit codes mean. No process is started in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
HEALTH_PATH = "/_cloudbase/health"
KEEP_ALIVE = 75.0  # seconds that an idle connection is kept

# docs/runtime-contract.md has the same table; a test compares them.
EXIT_REASONS: Mapping[int, str] = {
    1: "Crashed",
    80: "EntryMissing",
    81: "SyntaxError",
    82: "MissingDependency",
    83: "LoadFailed",
    84: "NoHandler",
    85: "ListenFailed",
    86: "BadSetting",
}


@dataclass(frozen=True, slots=True)
class Runtime:
    """One language: what starts its server (after the interpreter), and where its dependencies go in a function's folder."""

    name: str
    arguments: tuple[str, ...]
    packages: str  # folder of installed dependencies
    locks: tuple[str, ...]  # files that name dependencies, the first one present counts

    @property
    def folder(self) -> Path:
        """The runtime's files: `runtime/` in the context of an image's build."""
        return FOLDER / self.name

    @property
    def dockerfile(self) -> Path:
        """Builds an image of `function/` and `runtime/` on the base that the build argument BASE names."""
        return self.folder / "Dockerfile"

    def command(self, interpreter: str) -> list[str]:
        """The argument vector for a function's process; its working folder is the function's."""
        return [interpreter, *self.arguments]


RUNTIMES: Mapping[str, Runtime] = {
    "node": Runtime(
        name="node",
        arguments=(str(FOLDER / "node" / "server.cjs"),),
        packages="node_modules",
        locks=("package-lock.json", "npm-shrinkwrap.json"),
    ),
    "python": Runtime(
        name="python",
        # -S: no site-packages of the interpreter's own, so that a function sees only what it brought along.
        arguments=("-S", str(FOLDER / "python" / "_cloudbase_runtime")),
        packages=".packages",
        locks=("requirements.txt",),
    ),
}
