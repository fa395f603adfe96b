"""Every module has its place: what is pure is held to it by the import contracts, and no file outgrows its noun."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("autoscaler", "router", "controller", "events", "kube")
LARGEST = 400  # lines
PURE = "Decisions are pure: they have no clock, no socket, no process and no log"


def contract(name: str) -> dict[str, list[str]]:
    """One import contract of pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (found,) = [one for one in settings["tool"]["importlinter"]["contracts"] if one["name"] == name]
    return dict(found)


def imported(file: Path) -> set[str]:
    """The modules that a file imports, by their whole names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def pure_modules(forbidden: set[str]) -> set[str]:
    """What imports nothing forbidden, itself or through others: a decision, whether its author knew it or not."""
    files = {str(path.relative_to(ROOT))[:-3].replace("/", "."): path for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    imports = {name: imported(path) for name, path in files.items() if not name.endswith("__init__")}
    impure = {name for name, names in imports.items() if {one.split(".")[0] for one in names} & forbidden}
    while more := {name for name, names in imports.items() if names & impure} - impure:
        impure |= more
    return set(imports) - impure


def test_every_decision_is_held_to_be_pure() -> None:
    held = contract(PURE)["source_modules"]
    missing = {
        name
        for name in pure_modules({*contract(PURE)["forbidden_modules"], *OUTSIDE})
        if not any(name == one or name.startswith(one + ".") for one in held)
    }
    assert not missing - ADAPTERS, "add these to the contract in pyproject.toml, or let them be part of an adapter"


OUTSIDE = {
    "sqlite3",
    "shutil",
    "tempfile",
    "pathlib",
    "mmap",
    "starlette",
    "uvicorn",
    "prometheus_client",
    "kubernetes",
}  # as bad

# Pure by accident: parts of a shell, which may take up a clock or a socket any day.
ADAPTERS = {
    *("controller.api.openapi", "controller.api.view"),
    *("controller.local.failures", "controller.local.lines", "controller.local.restart"),
    *("kube.fake.faults", "kube.fake.patch", "kube.fake.rest", "kube.fake.selector", "kube.fake.store"),
    *("router.interpreter", "router.wire.buffer"),
}


def test_no_file_outgrows_its_noun() -> None:
    files = [
        path for room in (*ROOMS, "cloudbase", "loadtest", "runtimes", "helm", "tests") for path in (ROOT / room).rglob("*.py")
    ]
    assert not [str(path.relative_to(ROOT)) for path in files if len(path.read_text().splitlines()) > LARGEST]
    assert len(files) > 100


def test_no_two_test_files_share_a_name() -> None:
    """A name is enough to find a file, in a report as in the tree."""
    names = [
        path.name for path in (ROOT / "tests").rglob("*.py") if path.name not in {"__init__.py", "__main__.py", "conftest.py"}
    ]
    assert sorted(set(names)) == sorted(names)


def test_no_folder_of_tests_has_a_name_that_pytest_passes_over() -> None:
    assert not [
        path for path in (ROOT / "tests").rglob("*") if path.is_dir() and path.name in {"build", "dist", "venv", "node_modules"}
    ]


def test_tests_import_one_another_by_their_whole_names() -> None:
    """Who reads `tests.shared.serving` knows the file; a changed path would make it a riddle, and load a module twice."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    names = {path.stem for path in files} - {"conftest", "__main__"}
    assert not [path for path in files if "sys.path." in path.read_text() or "sys.path[" in path.read_text()]
    assert not [(path, short) for path in files for short in names & {one.split(".")[0] for one in imported(path)}]
