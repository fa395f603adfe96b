"""What a build needs to know of a source before it starts: whose Dockerfile, and which files are enough to install from.

Dependencies that are installed from their manifests alone are a layer of their own, which the cache keeps while only user code
changes. Where installing may look at other files, everything is laid down first: slower, never wrong. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from controller.archive import Tree

DOCKERFILE = "Dockerfile"
NATIVE = "binding.gyp"  # npm compiles a package that has one
WHOLE = "*"  # installing may need any file
MANIFEST_BYTES = 4 << 20  # a manifest beyond that is not looked into

NPM_FILES = ("package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc")
_NPM_HOOKS = {"preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"}
_NPM_DEPENDENCIES = ("dependencies", "optionalDependencies", "devDependencies", "peerDependencies")
_ELSEWHERE = re.compile(r"(file:|link:|workspace:|[.~]{0,2}/)")  # a dependency that is a path
PIP_FILES = ("requirements.txt",)
_PIP_ALONE = re.compile(
    r"(--(index-url|extra-index-url|trusted-host|no-binary|only-binary|prefer-binary|pre|no-index|require-hashes|hash)\b|-i\b)"
)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Kept with a source."""

    dockerfile: bool = False  # the source has a Dockerfile of its own, which counts
    npm: tuple[str, ...] = ()  # files that `npm install` needs; WHOLE; () = nothing to install
    pip: tuple[str, ...] = ()

    def install(self, runtime: str) -> tuple[str, ...]:
        """What has to be laid down before dependencies are installed."""
        return {"node": self.npm, "python": self.pip}.get(runtime, ())


def facts(tree: Tree) -> Facts:
    """Of a checked source tree."""
    return Facts(dockerfile=DOCKERFILE in tree, npm=_npm(tree), pip=_pip(tree))


def _npm(tree: Tree) -> tuple[str, ...]:
    present = tuple(name for name in NPM_FILES if name in tree)
    if "package.json" not in present or any(path.startswith("node_modules/") for path in tree):
        return ()
    links = any(tree[name].link for name in present)
    return (WHOLE,) if links or NATIVE in tree or _npm_looks_around(tree) else present


def _npm_looks_around(tree: Tree) -> bool:
    package = _json(tree, "package.json")
    if not isinstance(package, dict):
        return False  # not valid: npm will say so
    scripts = package.get("scripts")
    if isinstance(scripts, dict) and _NPM_HOOKS & scripts.keys():
        return True
    if package.keys() & {"workspaces", "bundleDependencies", "bundledDependencies"}:
        return True
    return any(_ELSEWHERE.match(version) for version in _versions(package)) or _locked_elsewhere(tree)


def _versions(package: dict[str, Any]) -> Iterator[str]:
    for kind in _NPM_DEPENDENCIES:
        named = package.get(kind)
        yield from (each for each in named.values() if isinstance(each, str)) if isinstance(named, dict) else ()


def _locked_elsewhere(tree: Tree) -> bool:
    return any(b'"file:' in tree[name].content or b'"link"' in tree[name].content for name in NPM_FILES[1:3] if name in tree)


def _pip(tree: Tree) -> tuple[str, ...]:
    name = PIP_FILES[0]
    if name not in tree:
        return ()
    lines = tree[name].content.decode("utf-8", "replace").replace("\\\n", " ").splitlines()
    return (WHOLE,) if tree[name].link or any(map(_pip_looks_around, lines)) else PIP_FILES


def _pip_looks_around(line: str) -> bool:
    """Options that name files (-r, -c, -e, --find-links), or requirement as a path (pip's "Requirements File Format")."""
    text = line.split("#")[0].strip()
    if text.startswith("-"):
        return not _PIP_ALONE.match(text)
    requirement = re.sub(r"\s+--hash=\S+", "", text)
    named, _, url = requirement.partition("@")
    if url:
        return "file:" in url or "://" not in url
    return (
        "file:" in named
        or ("/" in named and "://" not in named)
        or named.startswith(".")
        or named.endswith((".whl", ".gz", ".zip"))
    )


def _json(tree: Tree, name: str) -> object:
    content = tree[name].content
    if len(content) > MANIFEST_BYTES:
        return None
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        return None
