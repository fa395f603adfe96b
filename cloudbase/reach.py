"""The way to a platform in a cluster: by the kubeconfig's user, a port forward to the controller, and a token for its API.

The API takes bearer tokens. A user who has one (OIDC, exec plugins, service accounts) uses it; one with a client certificate
makes a short-lived token of the platform's service account for people, which needs the right to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cloudbase.errors import CommandError, Failed, NoPlatform, Refused
from cloudbase.forward import Forward, Target
from cloudbase.place import Cluster, Place

AGENT = "cloudbase"
TOKEN_SECONDS = 3600  # that a token made here is good for
SELECTOR = "app.kubernetes.io/name=cloudbase,app.kubernetes.io/component={component}"
PORTS = {"controller": 8081, "router": 8080}


@dataclass(frozen=True, slots=True)
class Found:
    """A pod to forward to, who asks for it, and the token for what listens there."""

    target: Target
    token: str
    namespace: str  # of the kubeconfig's context


def open_way(place: Place, component: str = "controller") -> tuple[Place, Callable[[], None]]:
    """The place as it is reached from here, and what ends that. Raises NoPlatform, Refused, Failed."""
    assert place.cluster is not None
    found = asyncio.run(_find(place.cluster, component, with_token=component == "controller" and not place.token))
    forward = Forward(found.target)
    there = {"listen": forward.address} if component == "router" else {"admin": forward.address}
    token, namespace = place.token or found.token, place.namespace or found.namespace
    return replace(place, **there, token=token, namespace=namespace, trouble=lambda: forward.trouble), forward.close  # type: ignore[arg-type]


async def _find(cluster: Cluster, component: str, with_token: bool) -> Found:
    from kube.access import BadAccess
    from kube.client import Client
    from kube.errors import KubeError
    from kube.kubeconfig import Kubeconfig

    try:
        access = await Kubeconfig.load(cluster.kubeconfig, cluster.context)
        authorization = await access.authorization()
        async with Client(access, agent=AGENT) as client:
            pod = await _pod(client, cluster, component)
            token = ""
            if with_token:
                token = authorization.removeprefix("Bearer ") or await _minted(client, cluster)
    except BadAccess as error:
        raise NoPlatform(str(error), "name a kubeconfig by KUBECONFIG, and its context with --context") from error
    except KubeError as error:
        raise _told(error, cluster) from error
    target = Target(
        access.server, access.tls(), access.server_name, authorization, cluster.platform, pod, PORTS[component]
    )  # fmt: skip
    return Found(target, token, access.namespace)


async def _pod(client: Any, cluster: Cluster, component: str) -> str:
    """A ready pod of the component; of several controllers the one that works. Raises NoPlatform."""
    from kube.resource import PODS
    from kube.watch import Scope

    pods = await client.list(PODS, Scope(cluster.platform, SELECTOR.format(component=component)))
    ready = [each.metadata.name for each in pods if _ready(each)]
    if not ready:
        raise NoPlatform(
            f"no {component} is ready in the namespace {cluster.platform}",
            f"`kubectl get pods -n {cluster.platform}` shows why; another namespace is named by CLOUDBASE_PLATFORM",
        )
    leader = await _leader(client, cluster.platform) if component == "controller" and len(ready) > 1 else ""
    return str(next((name for name in ready if leader.startswith(name)), ready[0]))


def _ready(pod: Any) -> bool:
    conditions = pod.status.conditions or ()
    return not pod.metadata.deletion_timestamp and any(each.type == "Ready" and each.status == "True" for each in conditions)


async def _leader(client: Any, namespace: str) -> str:
    """Who holds the controllers' lease; "" where that may not be read."""
    from kube.errors import KubeError
    from kube.resource import LEASES
    from kube.watch import Scope

    try:
        leases = await client.list(LEASES, Scope(namespace))
    except KubeError:
        return ""
    held = (each.spec.holder_identity for each in leases if each.metadata.name.endswith("-controller"))
    return next((each for each in held if each), "")


async def _minted(client: Any, cluster: Cluster) -> str:
    """A token of the service account, by TokenRequest. Raises Refused where the user may not make one."""
    from kube.errors import Forbidden, NotFound
    from kube.resource import Resource

    namespace, _, name = cluster.account.rpartition("/")
    namespace = namespace or cluster.platform
    tokens: Resource[dict[str, Any]] = Resource("", "v1", f"serviceaccounts/{name}/token", "TokenRequest", dict)
    request = {"apiVersion": "authentication.k8s.io/v1", "spec": {"expirationSeconds": TOKEN_SECONDS}}
    try:
        made = await client.create(tokens, request, namespace)
    except (Forbidden, NotFound) as error:
        raise Refused(
            f"the kubeconfig's user has no token, and of the account {namespace}/{name} none can be made: {error.message}",
            "give one with --token, or name by CLOUDBASE_SERVICE_ACCOUNT=NAMESPACE/NAME an account whose tokens you may create",
        ) from error
    return str(made["status"]["token"])


def _told(error: Exception, cluster: Cluster) -> CommandError:
    from kube.errors import Forbidden, Unreachable

    if isinstance(error, Unreachable):
        return NoPlatform(str(error), "check the kubeconfig's context with `kubectl cluster-info`")
    if isinstance(error, Forbidden):
        hint = f"you need to get and list pods and to create pods/portforward in {cluster.platform}; or give --server URL"
        return Refused(error.message, hint)
    return Failed(str(error))
