"""What an operator sets about builds; docs/builds.md has the same table, and a test holds the two equal.

Nothing is read in here: controller/kube/settings.py fills it from flags and the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from router.options import setting

EXECUTOR = "ghcr.io/osscontainertools/kaniko:v1.28.3"
BASES: Mapping[str, str] = {"node": "node:22-alpine", "python": "python:3.13-slim"}


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Where images go, what builds them, and what a build may take."""

    registry: str = field(metadata={"meaning": "where images are pushed, HOST[:PORT][/PATH]; none = nothing is built"})
    pull_registry: str = setting("", "the same place as nodes reach it; none = as `registry`")
    insecure: bool = setting(False, "`registry` speaks plain HTTP")
    registry_ca: str = setting("", "PEM of the authorities that the controller checks `registry` with; none = the system's")
    registry_map: Mapping[str, str] = setting({}, "registry that FROM names, and where to pull from instead")
    insecure_pull: bool = setting(False, "the registries of base images speak plain HTTP")
    registry_secret: str = setting("", "Secret (kubernetes.io/dockerconfigjson) in `namespace` to push and pull with")
    namespace: str = setting("cloudbase-builds", "where Jobs, sources and results are; pod security `baseline`")
    executor: str = setting(EXECUTOR, "image of Kaniko's executor")
    busybox: str = setting("busybox:1.37", "image that lays down source, Dockerfile and credentials")
    image_pull_secrets: tuple[str, ...] = setting((), "Secrets in `namespace` to pull these two images with")
    bases: Mapping[str, str] = setting(BASES, "base image of each runtime")
    cache: bool = setting(True, "keep the layers of RUN in the registry, in a repository for each namespace")
    cache_ttl: float = setting(14 * 86_400.0, "seconds that a cached layer counts")
    deadline: float = setting(900.0, "seconds that a build may take from the start of its pod")
    cpu_request: str = setting("250m", "CPU reserved for the executor")
    cpu_limit: str = setting("2", "CPU that it may take")
    memory_request: str = setting("256Mi", "memory reserved for the executor")
    memory_limit: str = setting("2Gi", "memory that it may take, with all that RUN steps start")
    disk: str = setting("10Gi", "disk that it may take: base images are unpacked in its own file system")
    workspace: str = setting("1Gi", "disk for the source, unpacked")
    npm_registry: str = setting("", "URL of the npm registry; none = npm's own")
    pip_index: str = setting("", "URL of the Python index; none = pip's own")
    package_ca: str = setting("", "PEM of the authorities that both are checked with; none = the base image's")
    packages_secret: str = setting(
        "", "Secret in `namespace` with `npmrc`, `pip.conf` or both: these files, credentials included"
    )
    git_timeout: float = setting(120.0, "seconds to fetch a commit")
    git_env: Mapping[str, str] = setting({}, "variables for git: proxies, GIT_SSL_CAINFO")
    handover: str = setting("", "URL of the controller's admin port as builds' pods reach it; none = no source above 1 MiB")
    epoch: str = setting("", "any word; another one, and everything is built anew")
    executor_arguments: tuple[str, ...] = setting((), "more flags for the executor")
    node_selector: Mapping[str, str] = setting({}, "labels of the nodes that builds run on")

    @property
    def pulled_from(self) -> str:
        """The registry as nodes name it."""
        return self.pull_registry or self.registry


_REGISTRY = re.compile(r"[a-zA-Z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")


def problems(settings: BuildSettings) -> list[str]:
    """What cannot work, a sentence each, named as in docs/builds.md; [] when all can."""
    found = [
        f"{name} is not a registry: {value!r}; write host[:port][/path], without https://"
        for name, value in (("registry", settings.registry), ("pull_registry", settings.pulled_from))
        if not _REGISTRY.fullmatch(value)
    ]
    if settings.deadline < 10:
        found.append(f"deadline must be at least 10 s, was {settings.deadline:g}")
    if settings.handover and not settings.handover.startswith(("http://", "https://")):
        found.append(f"handover must be an http:// or https:// URL, was {settings.handover!r}")
    return found
