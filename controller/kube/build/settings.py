"""What an operator sets about builds; docs/builds.md has the same table, and a test holds the two equal.

Nothing is read in here: controller/kube/settings.py fills it from flags and the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

EXECUTOR = "ghcr.io/osscontainertools/kaniko:v1.28.3"
BASES: Mapping[str, str] = {"node": "node:22-alpine", "python": "python:3.13-slim"}


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Where images go, what builds them, and what a build may take."""

    registry: str  # images are pushed here, without scheme: "registry.example.com:5000/functions"
    pull_registry: str = ""  # the same place as nodes reach it; "" = as `registry`
    insecure: bool = False  # `registry` speaks plain HTTP
    registry_ca: str = ""  # PEM of the authorities that `registry` is checked with, for the controller; "" = the system's
    registry_map: Mapping[str, str] = field(default_factory=dict)  # registry named in FROM -> where to pull from instead
    insecure_pull: bool = False  # registries that base images come from speak plain HTTP
    registry_secret: str = ""  # Secret (kubernetes.io/dockerconfigjson) in `namespace`: credentials to push and pull
    namespace: str = "cloudbase-builds"  # of Jobs, sources and results; pod security `baseline`
    executor: str = EXECUTOR
    busybox: str = "busybox:1.37"  # lays down source, Dockerfile and credentials
    image_pull_secrets: tuple[str, ...] = ()  # Secrets in `namespace` to pull executor and busybox with
    bases: Mapping[str, str] = field(default_factory=lambda: dict(BASES))  # runtime -> base image
    cache: bool = True  # keep the layers of RUN in the registry, in a repository for each namespace
    cache_ttl: float = 14 * 86_400.0  # seconds that a cached layer counts
    deadline: float = 900.0  # seconds for a build, from the start of its pod
    cpu_request: str = "250m"  # of the executor; the rest likewise, in Kubernetes' notation
    cpu_limit: str = "2"
    memory_request: str = "256Mi"
    memory_limit: str = "2Gi"
    disk: str = "10Gi"  # the executor unpacks base images into its own file system
    workspace: str = "1Gi"  # for the source, unpacked
    npm_registry: str = ""  # URL; "" = npm's own
    pip_index: str = ""  # URL; "" = pip's own
    package_ca: str = ""  # PEM of the authorities that package registries are checked with
    packages_secret: str = ""  # Secret in `namespace` with any of npmrc, pip.conf: whole files, credentials included
    git_timeout: float = 120.0  # seconds to fetch a commit
    git_env: Mapping[str, str] = field(default_factory=dict)  # variables for git: proxies, GIT_SSL_CAINFO
    handover: str = ""  # URL of this controller as pods reach it, for sources above 1 MiB: "http://controller.cloudbase:8081"
    epoch: str = ""  # change it, and everything is built anew
    executor_arguments: tuple[str, ...] = ()  # more flags for the executor
    node_selector: Mapping[str, str] = field(default_factory=dict)

    @property
    def pulled_from(self) -> str:
        """The registry as nodes name it."""
        return self.pull_registry or self.registry


_REGISTRY = re.compile(r"[a-zA-Z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")


def problems(settings: BuildSettings) -> list[str]:
    """What cannot work, a sentence each, named as in docs/builds.md; [] when all can."""
    found = [
        f"{name} is not a registry: {value!r}; write host[:port][/path], without https://"
        for name, value in (("registry", settings.registry), ("pullRegistry", settings.pulled_from))
        if not _REGISTRY.fullmatch(value)
    ]
    if settings.deadline < 10:
        found.append(f"deadline must be at least 10 s, was {settings.deadline:g}")
    if settings.handover and not settings.handover.startswith(("http://", "https://")):
        found.append(f"handover must be an http:// or https:// URL, was {settings.handover!r}")
    return found
