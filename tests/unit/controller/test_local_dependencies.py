"""When a source has the dependencies of another, and when that cannot be known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.local.artifacts import Artifacts, Note
from controller.local.dependencies import key, plain
from controller.local.toolchain import Toolchain

NODE = Toolchain("node", ("node",), ("npm",), "abi1")
PYTHON = Toolchain("python", ("python",), ("pip",), "cpython-1")
PACKAGE = '{"dependencies": {"a": "1"}}'
LOCK = '{"packages": {}}'


def source(folder: Path, **contents: str) -> Path:
    folder.mkdir()
    for name, text in contents.items():
        (folder / name.replace("__", "-").replace("_", ".")).write_text(text)
    return folder


def test_the_key_is_of_the_manifests_the_toolchain_and_the_settings_and_of_nothing_else(tmp_path: Path) -> None:
    one = key(source(tmp_path / "one", package_json=PACKAGE, package__lock_json=LOCK, index_js="1"), NODE, {"HOME": "/a"})
    assert one
    same = source(tmp_path / "same", package_json=PACKAGE, package__lock_json=LOCK, index_js="2")
    assert key(same, NODE, {"HOME": "/b"}) == one
    others = [
        key(same, Toolchain("node", ("node",), ("npm",), "abi2"), {}),
        key(same, NODE, {"npm_config_registry": "http://x"}),
        key(source(tmp_path / "lock", package_json=PACKAGE, package__lock_json="{}"), NODE, {}),
        key(source(tmp_path / "bare", package_json=PACKAGE), NODE, {}),
        key(source(tmp_path / "flask", requirements_txt="flask"), PYTHON, {}),
        key(source(tmp_path / "flask3", requirements_txt="flask==3"), PYTHON, {}),
        key(source(tmp_path / "uv", requirements_txt="flask==3", uv_toml=""), PYTHON, {}),
    ]
    assert len({one, *others, ""}) == len(others) + 2


def test_there_is_no_key_where_installing_looks_at_the_source_or_dependencies_were_brought_along(tmp_path: Path) -> None:
    hook = '{"scripts": {"postinstall": "tsc"}, "dependencies": {"a": "1"}}'
    assert key(source(tmp_path / "hook", package_json=hook), NODE, {}) == ""
    assert key(source(tmp_path / "native", package_json=PACKAGE, binding_gyp=""), NODE, {}) == ""
    assert key(source(tmp_path / "more", requirements_txt="-r more.txt"), PYTHON, {}) == ""
    assert key(source(tmp_path / "none", main_py=""), PYTHON, {}) == ""
    for tools, packages, manifests in (
        (NODE, "node_modules", {"package_json": PACKAGE}),
        (PYTHON, ".packages", {"requirements_txt": "a"}),
    ):
        brought = source(tmp_path / packages, **manifests)
        (brought / packages).mkdir()
        assert key(brought, tools, {}) == ""
    linked = source(tmp_path / "linked")
    (linked / "requirements.txt").symlink_to("more.txt")
    assert key(linked, PYTHON, {}) == ""


@pytest.mark.parametrize(
    ("installed", "is_plain"),
    [
        ({"node_modules/a": {"version": "1.0.0", "resolved": "https://x/a.tgz"}}, True),
        ({"node_modules/a": {}, "node_modules/b": {"hasInstallScript": True}}, False),
        ({"node_modules/a": {"link": True}}, False),
        ({"node_modules/a": {"resolved": "file:a.tgz"}}, False),
        ({"node_modules/a": 1}, False),
        (None, False),
    ],
)
def test_what_scripts_of_packages_made_is_for_one_source_only(tmp_path: Path, installed: object, is_plain: bool) -> None:
    (tmp_path / ".package-lock.json").write_text(json.dumps({"packages": installed}))
    assert plain(tmp_path, "node") is is_plain


def test_of_what_npm_wrote_nothing_nothing_is_known(tmp_path: Path) -> None:
    assert not plain(tmp_path, "node")
    assert plain(tmp_path, "python")
    assert not plain(tmp_path / "none", "python")


def test_the_lender_is_the_one_whose_dependencies_were_installed_last_and_not_too_long_ago(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)

    def publish(name: str, dependencies: str, installed: float) -> None:
        folder = tmp_path / "builds" / f".unfinished-{name}"
        folder.mkdir(parents=True)
        note = Note(
            source="s", runtime="node", toolchain="t", entry="", seconds=0.0, dependencies=dependencies, installed=installed
        )
        artifacts.publish(folder, name, note)

    assert artifacts.lender("k", 0.0) == ""
    publish("a", "k", 10.0)
    publish("b", "k", 20.0)
    publish("c", "other", 30.0)
    publish("d", "", 40.0)
    assert (artifacts.lender("k", 0.0), artifacts.lender("k", 20.0), artifacts.lender("k", 21.0)) == ("b", "b", "")
    assert artifacts.keep({"a"}) and artifacts.lender("k", 0.0) == "a"
    assert [path.name for path in (tmp_path / "builds").iterdir()] == ["a"]
