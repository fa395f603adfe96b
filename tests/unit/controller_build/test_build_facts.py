"""What can be installed apart from user code, so that the cache keeps it, and what needs the whole source."""

from __future__ import annotations

import json

import pytest

from controller.archive import File
from controller.facts import WHOLE, facts


def tree(**files: bytes | str) -> dict[str, File]:
    return {name.replace("__", "/"): File(each if isinstance(each, bytes) else each.encode()) for name, each in files.items()}


def package(**fields: object) -> dict[str, File]:
    return {"package.json": File(json.dumps(fields).encode()), "index.js": File(b"")}


def test_a_dockerfile_counts_only_in_the_topmost_folder() -> None:
    assert facts({"Dockerfile": File(b"FROM scratch")}).dockerfile
    assert not facts({"docker/Dockerfile": File(b"FROM scratch")}).dockerfile


def test_npm_needs_the_manifest_the_lock_and_npms_own_settings() -> None:
    lock, settings = {"package-lock.json": File(b"{}")}, {".npmrc": File(b"")}
    assert facts(package(dependencies={"left-pad": "^1.0.0"}) | lock | settings).npm == (
        "package.json",
        "package-lock.json",
        ".npmrc",
    )


def test_a_source_without_manifests_or_with_what_is_installed_has_nothing_to_install() -> None:
    assert facts({"index.js": File(b"")}).npm == () == facts({"index.js": File(b"")}).pip
    assert facts(package() | {"node_modules/x/index.js": File(b"")}).npm == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"dependencies": {"lib": "file:./lib"}},
        {"dependencies": {"lib": "../lib"}},
        {"optionalDependencies": {"lib": "/srv/lib"}},
        {"dependencies": {"lib": "link:lib"}},
        {"workspaces": ["packages/*"]},
        {"scripts": {"postinstall": "node build.js"}},
        {"scripts": {"prepare": "tsc"}},
        {"bundledDependencies": ["lib"]},
    ],
)
def test_npm_gets_everything_where_installing_looks_at_more(fields: dict[str, object]) -> None:
    assert facts(package(**fields)).npm == (WHOLE,)


@pytest.mark.parametrize(
    "version", ["^1.2.3", "~1.2.3", "1.x", "npm:other@1", "github:me/lib", "git+https://x/y.git", "https://x/y.tgz"]
)
def test_npm_needs_no_user_code_for_what_comes_from_elsewhere(version: str) -> None:
    assert facts(package(dependencies={"lib": version})).npm == ("package.json",)


def test_native_modules_and_links_in_the_lock_need_the_whole_source() -> None:
    assert facts(package() | {"binding.gyp": File(b"{}")}).npm == (WHOLE,)
    assert facts(package() | {"package-lock.json": File(b'{"packages": {"lib": {"link": true}}}')}).npm == (WHOLE,)


def test_a_package_json_that_is_not_valid_is_left_to_npm() -> None:
    assert facts({"package.json": File(b"{")}).npm == ("package.json",)


@pytest.mark.parametrize(
    "line",
    [
        "flask==3",
        "# a comment",
        "--index-url https://x/simple",
        "-i https://x/simple",
        "a @ https://x/a.whl",
        "a[b]>=1; python_version<'4'",
    ],
)
def test_pip_needs_requirements_alone(line: str) -> None:
    assert facts({"requirements.txt": File(f"{line}\n".encode())}).pip == ("requirements.txt",)


@pytest.mark.parametrize(
    "line", ["-r base.txt", "-c limits.txt", "-e .", "./lib", "lib/", "a @ ./a", "file:lib", "--find-links wheels", "a.whl"]
)
def test_pip_gets_everything_where_a_line_names_files(line: str) -> None:
    assert facts({"requirements.txt": File(f"flask\n{line}\n".encode())}).pip == (WHOLE,)
