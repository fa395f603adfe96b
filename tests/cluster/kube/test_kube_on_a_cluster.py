"""kube on a real cluster: a service account's own rights, and an API server that stops or freezes."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from kube.access import InCluster
from kube.backoff import Backoff
from kube.client import Client
from kube.election import Terms
from kube.errors import Forbidden, Unauthorized
from kube.informer import Informer
from kube.lease import Leadership
from kube.reflector import Pace
from kube.resource import CONFIG_MAPS, PODS, SERVICES, Resource
from kube.watch import Scope
from tests.cluster.shared.rights_in_force import in_force
from tests.shared.kube_world import World, kubeconfig, real_world, run
from tests.shared.waiting import until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning"),  # in the official package, from Python 3.12 on
]

SERVICE_ACCOUNTS: Resource[dict[str, Any]] = Resource("", "v1", "serviceaccounts", "ServiceAccount", dict)
RBAC = "rbac.authorization.k8s.io"
ROLES: Resource[dict[str, Any]] = Resource(RBAC, "v1", "roles", "Role", dict)
ROLE_BINDINGS: Resource[dict[str, Any]] = Resource(RBAC, "v1", "rolebindings", "RoleBinding", dict)
QUICK = Pace(silence=3.0, backoff=Backoff(0.05, 0.5))


# --- as a service account ---


@asynccontextmanager
async def service_account(world: World, folder: Path, rules: list[dict[str, Any]]) -> AsyncIterator[InCluster]:
    """What a pod of a service account with these rights finds in its environment and file system."""
    name, namespace = "router", world.namespace
    await world.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": name}}, namespace)
    await world.client.create(ROLES, {"metadata": {"name": name}, "rules": rules}, namespace)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = {"apiGroup": RBAC, "kind": "Role", "name": name}
    await world.client.create(ROLE_BINDINGS, {"metadata": {"name": name}, "subjects": [subject], "roleRef": role}, namespace)
    await in_force(world.client, namespace, name, rules)
    (folder / "namespace").write_text(namespace)
    (folder / "token").write_text(await token_of(world, name))
    (folder / "ca.crt").write_bytes(certificate_authority())
    parts = urlsplit(world.access.server)
    yield InCluster({"KUBERNETES_SERVICE_HOST": parts.hostname or "", "KUBERNETES_SERVICE_PORT": str(parts.port or 443)}, folder)


async def token_of(world: World, name: str) -> str:
    tokens: Resource[dict[str, Any]] = Resource("", "v1", f"serviceaccounts/{name}/token", "TokenRequest", dict)
    request = {"apiVersion": "authentication.k8s.io/v1", "spec": {"expirationSeconds": 600}}
    return str((await world.client.create(tokens, request, world.namespace))["status"]["token"])


def certificate_authority() -> bytes:
    content = yaml.safe_load(Path(kubeconfig().split(":")[0]).read_text())
    cluster = content["clusters"][0]["cluster"]
    if "certificate-authority" in cluster:
        return Path(cluster["certificate-authority"]).read_bytes()
    return base64.b64decode(cluster["certificate-authority-data"])


def on_cluster(scenario: Callable[[World], Awaitable[None]]) -> None:
    run(real_world, scenario)


LEAST = [
    {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch", "watch"]},
]


def test_a_service_account_with_list_and_watch_and_lease_rights_needs_no_more(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        async with service_account(world, tmp_path, LEAST) as access, Client(access) as client:
            informer = Informer(client, SERVICES, namespaces=[access.namespace], pace=QUICK)
            leadership = Leadership(client, access.namespace, "scaler", "pod-1", Terms(2, 1.5, 0.5))
            tasks = [asyncio.create_task(informer.run()), asyncio.create_task(leadership.run())]
            await until(lambda: informer.synced and leadership.leading)
            await world.client.create(SERVICES, {"metadata": {"name": "a"}, "spec": {"clusterIP": "None"}}, world.namespace)
            await until(lambda: len(informer) == 1)
            with pytest.raises(Forbidden, match="allow the verb 'list' on 'pods'"):
                await client.list(PODS, Scope(access.namespace))
            with pytest.raises(Forbidden, match="allow the verb 'create' on 'configmaps'"):
                await client.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, access.namespace)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    on_cluster(scenario)


def test_a_rotated_token_is_read_again_and_a_bad_one_is_named(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        async with service_account(world, tmp_path, LEAST) as access, Client(access) as client:
            await client.list(SERVICES, Scope(access.namespace))
            good = (tmp_path / "token").read_text()
            (tmp_path / "token").write_text("no.such.token")
            access.rejected()
            with pytest.raises(Unauthorized, match="check the service account's token"):
                await client.list(SERVICES, Scope(access.namespace))
            (tmp_path / "token").write_text(good)
            await client.list(SERVICES, Scope(access.namespace))

    on_cluster(scenario)


def test_a_forbidden_namespace_is_reported_and_does_not_keep_the_others_from_being_followed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        async with service_account(world, tmp_path, LEAST) as access, Client(access) as client:
            informer = Informer(client, SERVICES, namespaces=[access.namespace, "kube-system"], pace=QUICK)
            task = asyncio.create_task(informer.run())
            await world.client.create(SERVICES, {"metadata": {"name": "a"}, "spec": {"clusterIP": "None"}}, world.namespace)
            await until(lambda: len(informer) == 1 and "403" in informer.states()["kube-system"].error)
            assert not informer.synced and "allow the verb 'list'" in informer.states()["kube-system"].error
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    on_cluster(scenario)


# --- an API server that is not well ---


async def control(verb: str) -> None:
    """Stop, start, pause or resume the API server, where the cluster's kit can do that; skips the test elsewhere."""
    program = shutil.which("cluster") or os.environ.get("CLUSTER_COMMAND", "")
    if not program:
        pytest.skip("no `cluster` command (CLUSTER_COMMAND): cannot stop this cluster's API server")
    process = await asyncio.create_subprocess_exec(program, verb, "kube-apiserver")
    assert await process.wait() == 0


async def make_service(world: World, name: str) -> None:
    await world.client.create(SERVICES, {"metadata": {"name": name}, "spec": {"clusterIP": "None"}}, world.namespace)


def test_a_frozen_api_server_is_noticed_and_what_happens_after_it_is_seen() -> None:
    async def scenario(world: World) -> None:
        informer = Informer(world.client, SERVICES, namespaces=[world.namespace], pace=QUICK)
        task = asyncio.create_task(informer.run())
        await make_service(world, "before")
        await until(lambda: len(informer) == 1)
        await control("pause")
        try:
            began = time.monotonic()
            await until(lambda: "silent" in informer.states()[world.namespace].error)
            print(f"frozen API server noticed after {time.monotonic() - began:.1f} s of at most {QUICK.silence:g} s")
            assert time.monotonic() - began < QUICK.silence + 1
        finally:
            await control("resume")
        await make_service(world, "after")
        await until(lambda: len(informer) == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    on_cluster(scenario)


def test_an_api_server_that_restarts_is_caught_up_with_whatever_it_has_forgotten() -> None:
    async def scenario(world: World) -> None:
        informer = Informer(world.client, SERVICES, namespaces=[world.namespace], pace=QUICK)
        told: list[tuple[str, str]] = []
        informer.subscribe(lambda delta: told.append((delta.kind, delta.key.name)))
        task = asyncio.create_task(informer.run())
        for name in ("stays", "goes"):
            await make_service(world, name)
        await until(lambda: len(informer) == 2)
        await control("stop")
        try:
            await until(lambda: informer.states()[world.namespace].failures >= 2)
            assert len(informer) == 2 and informer.synced
        finally:
            began = time.monotonic()
            await control("start")
        await world.client.delete(SERVICES, "goes", world.namespace)
        await make_service(world, "comes")
        await until(lambda: len(told) == 4)
        state = informer.states()[world.namespace]
        print(f"caught up {time.monotonic() - began:.1f} s after the start, {state.lists} lists, {state.expired} expired")
        assert set(told[:2]) == {("added", "stays"), ("added", "goes")}
        assert set(told[2:]) == {("deleted", "goes"), ("added", "comes")}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    on_cluster(scenario)
