"""Every setting of the controller in a cluster, with its default and meaning; the environment is read in here only.

What is set about builds is controller/kube/build/settings.py's BuildSettings; it is filled from here, too.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from controller.errors import ControllerError
from controller.kube.build.settings import BuildSettings, problems
from router.address import parse_address

PREFIX = "CONTROLLER_"
BUILD_PREFIX = f"{PREFIX}BUILD_"


class BadSetting(ControllerError):
    """A setting that cannot be: the message names it, where it came from, and what it must be."""


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Settings:
    """Flags are `--NAME`, variables CONTROLLER_NAME."""

    kube_config: str = _setting("", "kubeconfig file; without it $KUBECONFIG, or the pod's service account")
    kube_context: str = _setting("", "context of the kubeconfig; without it the current one")
    namespaces: tuple[str, ...] = _setting((), "namespaces that functions may be in; none = all")
    url: str = _setting("http://127.0.0.1:8080", "where users reach the routers, told as functions' addresses")
    lease_namespace: str = _setting("", "namespace of the lease; without it the controller's own")
    lease: str = _setting("cloudbase-controller", "name of the lease: of several controllers its holder works, the others wait")
    identity: str = _setting("", "this controller among those of the lease; without it the host's name and a number")
    admin: str = _setting("127.0.0.1:8081", "where /healthz, /readyz, /metrics and the management API answer")
    webhooks: str = _setting("", "where the API server asks about Functions, HOST:PORT over TLS; none = not served")
    webhooks_service: str = _setting(
        "cloudbase-controller-webhooks", "Service that the API server calls them by, and Secret of their certificates"
    )
    webhooks_names: tuple[str, ...] = _setting((), "other names or addresses that it calls them by; none = the Service's")
    webhooks_configuration: str = _setting("cloudbase-controller", "name of both webhook configurations")
    builds: int = _setting(4, "builds at a time")
    kept_revisions: int = _setting(3, "proven revisions kept of a function beside those in use, to go back to")
    grace_most: float = _setting(900.0, "seconds that streams may keep a pod that is to end, whatever drainTimeout says")
    cpu_request: float = _setting(0.1, "part of a function's CPU limit that is reserved for each of its pods")
    pull_secrets: tuple[str, ...] = _setting((), "Secrets, in every function's namespace, to pull what is built here with")
    runtime_class: str = _setting("", "RuntimeClass of functions' pods; without it the cluster's default")

    def __post_init__(self) -> None:
        for wrong, what in (
            (self.builds < 1, f"BUILDS must be at least 1, was {self.builds}"),
            (self.kept_revisions < 0, f"KEPT_REVISIONS must be at least 0, was {self.kept_revisions}"),
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
    return Settings(**_values(Settings, PREFIX, flags, environ))


def load_builds(flags: Mapping[str, str], environ: Mapping[str, str]) -> BuildSettings | None:
    """As `load`, from CONTROLLER_BUILD_NAME; None where no registry is set: nothing can be built then. Raises BadSetting."""
    values = _values(BuildSettings, BUILD_PREFIX, flags, environ)
    if not values.get("registry"):
        return None
    settings = BuildSettings(**values)
    if wrong := problems(settings):
        raise BadSetting("; ".join(f"{BUILD_PREFIX}*: {each}" for each in wrong))
    return settings


def kubeconfig(settings: Settings, environ: Mapping[str, str]) -> str:
    """The file to read, "" = the pod's service account."""
    return settings.kube_config or environ.get("KUBECONFIG", "")


def _values(kind: type[Any], prefix: str, flags: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for one in fields(kind):
        flag, variable = f"--{one.name.replace('_', '-')}", prefix + one.name.upper()
        where = flag if one.name in flags else variable
        text = flags.get(one.name, environ.get(variable))
        if text is not None:
            values[one.name] = _converted(_default(one), text, where)
    return values


def _default(one: Any) -> Any:
    if one.default is not MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not MISSING else ""


def _converted(default: Any, text: str, where: str) -> Any:
    if isinstance(default, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise BadSetting(f"{where} must be true or false, was {text!r}")
        return text.lower() in ("true", "1")
    if isinstance(default, tuple):
        return _parts(text)
    if isinstance(default, Mapping):
        return dict(_pair(part, where) for part in _parts(text))
    try:
        return type(default)(text)
    except (TypeError, ValueError) as error:
        raise BadSetting(f"{where} must be a number, was {text!r}") from error


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pair(text: str, where: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise BadSetting(f"{where} must be NAME=VALUE, separated by commas, was {text!r}")
    return name.strip(), value.strip()
