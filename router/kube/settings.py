"""Every setting of the router's part for Kubernetes, with its default and meaning; the environment is read in here only."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from router.address import parse_address
from router.kube.intercept import Door
from router.options import BadSetting, check_least, setting, stated

PREFIX = "ROUTER_KUBE_"


@dataclass(frozen=True, slots=True)
class KubeSettings:
    """Flags are `--kube-NAME`, variables ROUTER_KUBE_NAME."""

    config: str = setting("", "kubeconfig file; without it $KUBECONFIG, or the pod's service account")
    context: str = setting("", "context of the kubeconfig; without it the current one")
    namespaces: tuple[str, ...] = setting((), "namespaces to look for routes in; none = all")
    lease_namespace: str = setting("", "namespace of the lease; without it the router's own")
    lease: str = setting("cloudbase-router", "name of the lease that the one who scales holds")
    identity: str = setting("", "this router among those of the lease; without it the host's name and a number")
    service: str = setting("", "the routers' own Service as NAMESPACE/NAME, by which one sees the others; none = it is alone")
    advertise: tuple[str, ...] = setting(
        (), "IP:PORT of the routers as pods reach them, for intercepted Services; none = the pods of the routers' own Service"
    )
    domain: str = setting("cluster.local", "the cluster's DNS domain, under which intercepted Services are called")
    redis: str = setting("", "URL of the Redis by which several routers share samples and limits; none = no exchange")
    admin: str = setting("127.0.0.1:8081", "where /healthz, /readyz and /metrics answer")
    hold: float = setting(10.0, "seconds that a route is kept whose Service vanished", 0)
    snapshot: str = setting("", "file that keeps the routes for a start without the API server; none = not kept")

    def __post_init__(self) -> None:
        if self.service and not all(self.service.partition("/")):
            raise BadSetting(f"{PREFIX}SERVICE must be NAMESPACE/NAME, was {self.service!r}")
        for text in self.advertise:
            try:
                advertised(text)
            except ValueError as error:
                raise BadSetting(f"{PREFIX}ADVERTISE: {error}") from error
        if self.redis and urlsplit(self.redis).scheme not in ("redis", "rediss", "unix"):
            raise BadSetting(f"{PREFIX}REDIS must be redis://[:PASSWORD@]HOST[:PORT][/DB], rediss://… or unix://PATH")
        check_least(self, PREFIX)
        try:
            parse_address(self.admin)
        except ValueError as error:
            raise BadSetting(f"{PREFIX}ADMIN: {error}") from error

    def watched(self) -> tuple[str, ...]:
        """Namespaces whose EndpointSlices are looked at: also the routers' own. () = all."""
        own = self.service.partition("/")[0]
        return (*self.namespaces, own) if self.namespaces and own and own not in self.namespaces else self.namespaces

    def who(self) -> str:
        """A pod's name is unique, a host's is not: the process id makes it so."""
        return self.identity or f"{socket.gethostname()}-{os.getpid()}"


def advertised(text: str) -> Door:
    """IP:PORT or [IP]:PORT as a door. Raises ValueError."""
    _, address = parse_address(text)
    if not isinstance(address, tuple):
        raise ValueError(f"{text!r} is no IP:PORT")
    try:
        ip = ip_address(address[0])
    except ValueError:
        raise ValueError(f"{text!r}: an EndpointSlice takes IP addresses only, not names") from None
    return Door(f"IPv{ip.version}", str(ip), int(address[1]))


def load(flags: Mapping[str, str], environ: Mapping[str, str]) -> KubeSettings:
    """Settings from flags (by name), then the environment. Raises BadSetting."""
    return KubeSettings(**stated(KubeSettings, flags, environ, PREFIX, "kube"))
