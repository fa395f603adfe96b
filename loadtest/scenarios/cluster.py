"""What a platform in a cluster is compared with: bare starts of a function's pod, and nginx in a pod in front of one.

By the rights of a kubeconfig's user in the functions' namespace: list deployments; list, watch, create and delete pods; get
pods/proxy; create and delete configmaps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from controller.kube.render import PORT
from kube.access import BadAccess
from kube.client import Client
from kube.errors import Attempt, KubeError, NotFound
from kube.kubeconfig import Kubeconfig
from kube.model import Pod
from kube.resource import CONFIG_MAPS, DEPLOYMENTS, PODS
from kube.watch import Scope
from loadtest.scenarios import pods
from loadtest.scenarios.peers import configuration
from loadtest.scenarios.target import Failed

T = TypeVar("T")

COLD, WARM = "sleepy", "hello"  # the functions that are compared
START = 120.0  # seconds for any pod, its image pulled
ASK = 0.005  # seconds between two questions to a pod that does not answer yet


class InCluster:
    """Both as pods, in the namespace of the functions."""

    def __init__(self, namespace: str, context: str, image: str) -> None:
        """Context "" is the current one; `image` has a program nginx."""
        self._namespace, self._context, self._image = namespace, context, image

    def bare_starts(self, going_on: Callable[[], bool], pause: float) -> list[float]:
        """See Peers. From creating the pod until its program answers, asked through the API server."""
        return self._run(lambda client: self._bare_starts(client, going_on, pause))

    @contextlib.contextmanager
    def nginx(self) -> Iterator[str]:
        """See Peers. By the pod's own address: a Service's would not be known everywhere at once."""
        try:
            yield self._run(self._start_nginx)
        finally:
            self._run(self._end_nginx)

    async def _bare_starts(self, client: Client, going_on: Callable[[], bool], pause: float) -> list[float]:
        found = await client.list(DEPLOYMENTS.decoded_as(dict), Scope(self._namespace, pods.of_function(COLD)))
        if not found:
            raise Failed(f"the function {COLD} has no Deployment in the namespace {self._namespace}")
        taken: list[float] = []
        while going_on():
            taken.append(await self._bare_start(client, f"loadtest-bare-{len(taken)}", found[-1]))
            await asyncio.sleep(pause)
        return taken

    async def _bare_start(self, client: Client, name: str, deployment: dict[str, Any]) -> float:
        manifest = pods.bare(name, deployment)
        await self._gone(client, name)
        async with asyncio.timeout(START):
            began = time.perf_counter()
            made = await client.create(PODS, manifest, self._namespace)
            try:
                await self._until(client, made, lambda pod: bool(pod.status.pod_ip))
                await self._answers(client, name, pods.port(deployment))
                return (time.perf_counter() - began) * 1000
            finally:
                await self._delete(client, name)

    async def _answers(self, client: Client, name: str, port: int) -> None:
        """Wait until the pod's program answers."""
        path = f"/api/v1/namespaces/{self._namespace}/pods/{name}:{port}/proxy/"
        attempt = Attempt("get", "pods/proxy", f"{self._namespace}/{name}")
        while True:
            try:
                async with client.stream(attempt, path, {}, START) as stream:
                    async for _ in stream.chunks(START):
                        pass
                    return
            except KubeError as error:
                if error.status in (401, 403):
                    raise
                await asyncio.sleep(ASK)

    async def _start_nginx(self, client: Client) -> str:
        await self._end_nginx(client)
        upstream = await self._address(client)
        text = configuration(pods.FOLDER, f"0.0.0.0:{pods.NGINX_PORT}", upstream)
        await client.create(CONFIG_MAPS, pods.configured(text), self._namespace)
        made = await client.create(PODS, pods.nginx(self._image), self._namespace)
        try:
            async with asyncio.timeout(START):
                pod = await self._until(client, made, _ready)
        except TimeoutError as error:
            raise Failed(
                f"nginx is not ready after {START:g} s: kubectl -n {self._namespace} describe pod {pods.NGINX}"
            ) from error
        return f"http://{pod.status.pod_ip}:{pods.NGINX_PORT}"

    async def _address(self, client: Client) -> str:
        """Of a pod of the function that is called."""
        found = await client.list(PODS, Scope(self._namespace, pods.of_function(WARM)))
        ready = [pod for pod in found if _ready(pod) and not pod.metadata.deletion_timestamp]
        if not ready:
            raise Failed(f"the function {WARM} has no pod that is ready in the namespace {self._namespace}")
        return f"{ready[0].status.pod_ip}:{PORT}"

    async def _end_nginx(self, client: Client) -> None:
        await self._gone(client, pods.NGINX)
        with contextlib.suppress(NotFound):
            await client.delete(CONFIG_MAPS, pods.NGINX, self._namespace)

    async def _until(self, client: Client, made: Pod, right: Callable[[Pod], bool]) -> Pod:
        """The pod that was made, once it is right. Raises Failed."""
        scope = Scope(self._namespace, fields=f"metadata.name={made.metadata.name}")
        async with (
            client.watch(PODS, scope, made.metadata.resource_version, int(START), START) as watch,
            contextlib.aclosing(watch.batches()) as batches,
        ):
            async for batch in batches:
                for event in batch:
                    if event.object is not None and right(event.object):
                        return event.object
        raise Failed(f"the API server ended the watch of {made.metadata.name} before it ran")

    async def _gone(self, client: Client, name: str) -> None:
        """Delete a pod of ours, if there is one that was left, and wait until its name is free."""
        async with asyncio.timeout(START):
            while await self._delete(client, name):  # noqa: ASYNC110 - it is the cluster's to change
                await asyncio.sleep(0.1)

    async def _delete(self, client: Client, name: str) -> bool:
        """Was there one?"""
        try:
            await client.delete(PODS, name, self._namespace, grace=0)
            return True
        except NotFound:
            return False

    def _run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """As the kubeconfig's user. Raises Failed."""

        async def whole() -> T:
            access = await Kubeconfig.load(_kubeconfig(), self._context)
            async with Client(access, agent="cloudbase-loadtest") as client:
                return await work(client)

        try:
            return asyncio.run(whole())
        except (BadAccess, KubeError) as error:
            raise Failed(str(error)) from error
        except TimeoutError as error:
            raise Failed(f"a pod in the namespace {self._namespace} was not there within {START:g} s") from error


def _ready(pod: Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())


def _kubeconfig() -> str:
    return os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
