"""Every setting of the controller in a cluster, with its default and meaning; the environment is read in here only.

What is set about builds is controller/kube/build/settings.py's BuildSettings; it is filled from here, too.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from controller.kube.build.settings import BuildSettings, problems
from router.address import parse_address
from router.options import BadSetting, check_least, setting, stated

PREFIX = "CONTROLLER_"
BUILD_PREFIX = f"{PREFIX}BUILD_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Flags are `--NAME`, variables CONTROLLER_NAME."""

    kube_config: str = setting("", "kubeconfig file; without it $KUBECONFIG, or the pod's service account")
    kube_context: str = setting("", "context of the kubeconfig; without it the current one")
    namespaces: tuple[str, ...] = setting((), "namespaces that functions may be in; none = all")
    url: str = setting("http://127.0.0.1:8080", "where users reach the routers, told as functions' addresses")
    lease_namespace: str = setting("", "namespace of the lease; without it the controller's own")
    lease: str = setting("cloudbase-controller", "name of the lease: of several controllers its holder works, the others wait")
    identity: str = setting("", "this controller among those of the lease; without it the host's name and a number")
    admin: str = setting("127.0.0.1:8081", "where /healthz, /readyz, /metrics and the management API answer")
    webhooks: str = setting("", "where the API server asks about Functions, HOST:PORT over TLS; none = not served")
    webhooks_service: str = setting(
        "cloudbase-controller-webhooks", "Service that the API server calls them by, and Secret of their certificates"
    )
    webhooks_names: tuple[str, ...] = setting((), "other names or addresses that it calls them by; none = the Service's")
    webhooks_configuration: str = setting("cloudbase-controller", "name of both webhook configurations")
    drain_delay: float = setting(0.0, "seconds that a stopping controller is not ready but still works and answers", 0)
    builds: int = setting(4, "builds at a time", 1)
    kept_revisions: int = setting(3, "proven revisions kept of a function beside those in use, to go back to", 0)
    grace_most: float = setting(900.0, "seconds that streams may keep a pod that is to end, whatever drainTimeout says")
    cpu_request: float = setting(0.1, "part of a function's CPU limit that is reserved for each of its pods")
    pull_secrets: tuple[str, ...] = setting((), "Secrets, in every function's namespace, to pull what is built here with")
    runtime_class: str = setting("", "RuntimeClass of functions' pods; without it the cluster's default")

    def __post_init__(self) -> None:
        check_least(self, PREFIX)
        for wrong, what in (
            (not 1 <= self.grace_most <= 86_400, f"GRACE_MOST must be from 1 to 86400 seconds, was {self.grace_most:g}"),
            (not 0 < self.cpu_request <= 1, f"CPU_REQUEST must be above 0 and at most 1, was {self.cpu_request:g}"),
            (not self.url.startswith(("http://", "https://")), f"URL must begin with http:// or https://, was {self.url!r}"),
        ):
            if wrong:
                raise BadSetting(PREFIX + what)
        for name, address in (("ADMIN", self.admin), ("WEBHOOKS", self.webhooks)):
            try:
                if address or name == "ADMIN":
                    parse_address(address)
            except ValueError as error:
                raise BadSetting(f"{PREFIX}{name}: {error}") from error

    def who(self) -> str:
        """A pod's name is unique, a host's is not: the process id makes it so."""
        return self.identity or f"{socket.gethostname()}-{os.getpid()}"


def load(flags: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """Settings from flags (by name), then the environment. Raises BadSetting."""
    return Settings(**stated(Settings, flags, environ, PREFIX))


def load_builds(flags: Mapping[str, str], environ: Mapping[str, str]) -> BuildSettings | None:
    """As `load`, from CONTROLLER_BUILD_NAME; None where no registry is set: nothing can be built then. Raises BadSetting."""
    values = stated(BuildSettings, flags, environ, BUILD_PREFIX, "build")
    if not values.get("registry"):
        return None
    settings = BuildSettings(**values)
    if wrong := problems(settings):
        raise BadSetting("; ".join(f"{BUILD_PREFIX}*: {each}" for each in wrong))
    return settings
