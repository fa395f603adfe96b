"""What everything about a build is called: keys, objects, images. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from controller.facts import Facts
from controller.kube.build.settings import BuildSettings

FORMAT = "1"  # of what is made of a source: raise it, and everything is built anew
MANAGER = "cloudbase-controller"

MANAGED = "app.kubernetes.io/managed-by"
BUILD = "cloudbase.dev/build"  # label: the key
KIND = "cloudbase.dev/kind"  # label: "source", "build", "result"
NAMESPACE = "cloudbase.dev/namespace"  # label: of the function that asked for it
FUNCTION = "cloudbase.dev/function"
SOURCE = "cloudbase.dev/source"  # annotation: the whole digest
USED_AT = "cloudbase.dev/used-at"  # annotation: RFC 3339, when the source was stored or asked for last
FETCHED_AT = "cloudbase.dev/fetched-at"  # annotation of a build's Secret: its one-time URL is used up
WHERE = "cloudbase.dev/artifact"  # annotation of a source too large for a Secret: digest of its manifest in the registry

DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the platform adds to a source of one runtime."""

    dockerfile: str
    runtime: bytes  # tar.gz of the runtime's folder, the same bytes for the same files


def build_key(settings: BuildSettings, recipe: Recipe | None, project: str, source: str, runtime: str, facts: Facts) -> str:
    """20 hex digits over everything that the image depends on, within a namespace. `recipe` None: the source's own Dockerfile."""
    parts: list[object] = [FORMAT, settings.epoch, settings.registry, project, source]
    parts += [settings.npm_registry, settings.pip_index, settings.package_ca, settings.packages_secret]
    if recipe is not None:
        runtime_digest = hashlib.sha256(recipe.runtime).hexdigest()
        parts += [runtime, recipe.dockerfile, runtime_digest, settings.bases.get(runtime, ""), facts.install(runtime)]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:20]


def builder_key(settings: BuildSettings, recipes: Mapping[str, Recipe]) -> str:
    """20 hex digits over all that the operator sets and the platform adds: what failed is worth another try when it differs."""
    added = [[name, each.dockerfile, hashlib.sha256(each.runtime).hexdigest()] for name, each in sorted(recipes.items())]
    return hashlib.sha256(msgspec.json.encode([FORMAT, settings, added], order="deterministic")).hexdigest()[:20]


def job_name(key: str) -> str:
    """Of the Job and of the Secret that it reads."""
    return f"build-{key}"


def result_name(key: str) -> str:
    return f"built-{key}"


def source_name(digest: str) -> str:
    return f"source-{digest.removeprefix('sha256:')[:40]}"


def image(settings: BuildSettings, project: str, function: str) -> str:
    """The repository that a function's images are pushed to."""
    return f"{settings.registry}/{project}-{function}"


def cache(settings: BuildSettings, project: str) -> str:
    """The repository of cached layers: one for each namespace, so that none can put layers under another's image."""
    return f"{settings.registry}/{project}.cache"


def artifact(settings: BuildSettings, repository: str, digest: str) -> str:
    """The image as nodes pull it: `repository` as it was pushed, by digest."""
    return f"{settings.pulled_from}{repository.removeprefix(settings.registry)}@{digest}"


def pushed(settings: BuildSettings, artifact_: str) -> tuple[str, str]:
    """The repository within the registry and the digest of an artifact: ("functions/default-hello", "sha256:…")."""
    whole, _, digest = artifact_.rpartition("@")
    inside = settings.registry + whole.removeprefix(settings.pulled_from)
    return inside.partition("/")[2], digest


def labels(kind: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {MANAGED: "cloudbase", KIND: kind, **(extra or {})}
