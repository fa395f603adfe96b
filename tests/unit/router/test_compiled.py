"""Which build of the router runs: the compiled one only while it was made of the source as it stands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from router import compiled
from router.compile import MADE_OF
from router.compiled import COMPILED, MANIFEST, PLAIN, STALE, Finder, choose_build, digest, folder_of, source_of
from router.interpreter import unoptimised


@pytest.fixture(autouse=True)
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for builds, and a search path that forgets what is added to it."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    folder = folder_of(tmp_path)
    monkeypatch.setattr(compiled, "folder_of", lambda: folder)
    folder.mkdir()
    return folder


def manifest(folder: Path, **changes: object) -> None:
    modules = ["router.gate", "router.wire.client"]
    whole = {"source": digest(modules), "modules": modules, "files": {"router.gate": "router.gate.so"}}
    (folder / MANIFEST).write_text(json.dumps({**whole, **changes}))
    (folder / "router.gate.so").touch()


def test_without_a_build_the_source_runs() -> None:
    assert choose_build({}) == PLAIN


def test_a_build_of_this_source_is_found_before_it(builds: Path) -> None:
    manifest(builds)

    assert choose_build({}) == COMPILED
    finder = sys.meta_path[0]
    assert isinstance(finder, Finder)
    spec = finder.find_spec("router.gate")
    assert spec is not None
    assert spec.origin == str(builds / "router.gate.so")
    assert finder.find_spec("router.wire.client") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "another"},
        {"modules": ["router.gate", "router.gone"]},
        {"files": 1},
        {"files": {"router.gate": "not-copied.so"}},
    ],
)
def test_a_build_of_another_source_is_left_alone_and_said_to_be_old(builds: Path, changes: dict[str, object]) -> None:
    if changes == {"files": 1}:
        (builds / MANIFEST).write_text("{")
    else:
        manifest(builds, **changes)
    before = list(sys.meta_path)

    assert choose_build({}) == STALE
    assert sys.meta_path == before


def test_the_plain_source_can_be_asked_for(builds: Path) -> None:
    manifest(builds)

    assert choose_build({"CLOUDBASE_PLAIN": "1"}) == PLAIN


def test_every_module_that_is_compiled_is_there() -> None:
    assert [name for name in MADE_OF if not source_of(name).is_file()] == []
    assert digest(MADE_OF)


@pytest.mark.parametrize(
    ("arguments", "shared", "slow"),
    [
        ("'--prefix=/usr' '--enable-optimizations'", False, False),
        ("'--prefix=/opt/x'", False, True),
        ("'--prefix=/opt/x' '--enable-shared'", True, True),
        ("'--prefix=/usr' '--enable-shared'", False, False),  # Debian: python3 is not the build that its configuration describes
        ("", False, False),  # Windows
    ],
)
def test_an_interpreter_without_profile_guided_optimisation_is_known_by_its_configuration(
    arguments: str, shared: bool, slow: bool
) -> None:
    assert unoptimised(arguments, shared) is slow
