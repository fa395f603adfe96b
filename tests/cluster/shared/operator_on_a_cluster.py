"""Controllers and a router as processes, each under the rights that the chart gives it, and functions made of images."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from kube.client import Client
from kube.errors import KubeError, NotFound
from kube.resource import DEPLOYMENTS, SERVICES, Resource
from kube.watch import Scope
from tests.cluster.shared.rights_in_force import in_force
from tests.cluster.shared.router_on_a_cluster import HANGS, PATIENCE, RBAC, RESOURCES, Place, Router, authority, rights_given
from tests.shared.kube_world import real_world
from tests.shared.waiting import until

ROOT = Path(__file__).parents[3]
IMAGE = "cloudbase-test/echo:1"
DOCKERFILE = """
FROM python:3.13-slim
COPY program.py /program.py
USER 65532:65532
ENTRYPOINT ["python3", "-u", "/program.py"]
"""
# Listens after START seconds, ends with EXIT at once, or never listens; finishes what is in flight at SIGTERM.
PROGRAM = """
import json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
if "EXIT" in os.environ:
    print("cannot reach the database at db:5432", file=sys.stderr)
    sys.exit(int(os.environ["EXIT"]))
time.sleep(float(os.environ.get("START", "0")))
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(float(os.environ.get("WORK", "0")))
        body = json.dumps({"revision": os.environ["CLOUDBASE_REVISION"], "path": self.path, "env": os.environ.get("WORD", "")})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, format, *arguments):
        print(format % arguments, flush=True)
class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = False
    block_on_close = False
server = Server(("", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(0.05)
os._exit(0)
"""
FUNCTIONS: Resource[dict[str, Any]] = Resource("cloudbase.dev", "v1alpha1", "functions", "Function", dict)
REVISIONS: Resource[dict[str, Any]] = Resource("cloudbase.dev", "v1alpha1", "revisions", "Revision", dict)
CRDS: Resource[dict[str, Any]] = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", dict, namespaced=False
)
ACCOUNT = "cloudbase-controller"
MARKS = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning"),  # in the official package, from Python 3.12 on
]


def image() -> str:
    """The test's image, built where it is not there yet."""
    command = os.environ["CLUSTER_COMMAND"]
    listed = subprocess.run([command, "image", "list"], capture_output=True, text=True, check=True).stdout
    if IMAGE not in listed:
        folder = Path(os.environ.get("TMPDIR", "/tmp")) / "cloudbase-test-echo"
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(DOCKERFILE)
        (folder / "program.py").write_text(PROGRAM)
        done = subprocess.run([command, "image", "build", "-t", IMAGE, str(folder)], capture_output=True, text=True, check=False)
        assert not done.returncode, done.stdout + done.stderr
    return IMAGE


@dataclass
class Controller:
    """A controller process and what it says."""

    process: asyncio.subprocess.Process
    admin: str = ""
    lines: list[str] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._reading = asyncio.create_task(self._read())
        await until(lambda: bool(self.admin) or self.process.returncode is not None, PATIENCE)
        assert self.admin, "\n".join(self.lines)

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    async def leading(self, within: float = PATIENCE) -> None:
        await until(lambda: self.said(": leading"), within)

    async def stop(self, hard: bool = False) -> int:
        if self.process.returncode is None:
            (self.process.kill if hard else self.process.terminate)()
        code = await self.process.wait()
        assert self._reading is not None
        await self._reading
        return code

    async def metric(self, name: str) -> float:
        async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE) as http:
            text = (await http.get(f"http://{self.admin}/metrics")).text
        found = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line)]
        assert found, f"there is no metric {name}"
        return sum(found)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            self.lines.append(raw.decode().rstrip())
            if found := re.search(r"admin on (\S+),", self.lines[-1]):
                self.admin = found[1]


@dataclass
class Operated:
    """A namespace of functions, with controllers and a router of its own."""

    place: Place
    config: Path  # the controller's rights
    controllers: list[Controller] = field(default_factory=list)

    @property
    def client(self) -> Client:
        return self.place.client

    @property
    def namespace(self) -> str:
        return self.place.namespace

    async def controller(self, *flags: str, leads: bool = True) -> Controller:
        """Start one; it ends with the test."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "controller", "--kube", "--admin", "127.0.0.1:0", "--kube-config", str(self.config),
            "--namespaces", self.namespace, "--lease-namespace", self.namespace, *flags,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        controller = Controller(process)
        self.controllers.append(controller)
        await controller.start()
        if leads:
            await controller.leading()
        return controller

    async def router(self) -> Router:
        router = await self.place.router("--kube-namespaces", self.namespace)
        await router.ready()
        return router

    async def apply(self, name: str, **spec: Any) -> None:
        """As `kubectl apply --server-side` does it; a setting that is left out is given up.

        Pods have a short grace: Kubernetes waits for half of it before it looks at a namespace again that is to go.
        """
        body = {"spec": {"image": IMAGE, "timeout": 10.0, "drainTimeout": 10.0, **spec}}
        await self.client.apply(FUNCTIONS, name, body, "kubectl", self.namespace, force=True)

    async def function(self, name: str) -> dict[str, Any]:
        return await self.client.get(FUNCTIONS, name, self.namespace)

    async def condition(self, name: str, kind: str = "Ready") -> dict[str, Any]:
        """The condition, empty while what is asked for now was not looked at."""
        found = await self.function(name)
        status = found.get("status") or {}
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return {}
        return next((each for each in status.get("conditions", ()) if each["type"] == kind), {})

    async def wait(self, name: str, status: str = "True", within: float = PATIENCE, reason: str = "") -> dict[str, Any]:
        """Until the function is Ready (or not, for good)."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(within):
                while not (found.get("status") == status and reason in ("", found.get("reason"))):
                    await asyncio.sleep(0.05)
                    found = await self.condition(name)
        except TimeoutError:
            raise AssertionError(f"{name} is not Ready={status} {reason}: {await self.function(name)}") from None
        return found

    async def eventually(self, holds: Callable[[], Awaitable[bool]], within: float = PATIENCE) -> float:
        """Seconds until it held."""
        began = time.monotonic()
        async with asyncio.timeout(within):
            while not await holds():  # noqa: ASYNC110 - it is the API server's answer that changes
                await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def there(self, resource: Resource[Any], name: str) -> dict[str, Any] | None:
        try:
            return await self.client.get(resource.decoded_as(dict), name, self.namespace)
        except NotFound:
            return None

    async def deployment(self, name: str) -> dict[str, Any] | None:
        return await self.there(DEPLOYMENTS, name)

    async def service(self, name: str) -> dict[str, Any] | None:
        return await self.there(SERVICES, name)


Scenario = Callable[[Operated], Awaitable[None]]


def operated(scenario: Scenario, folder: Path, limit: float = HANGS) -> None:
    """Run a scenario in a namespace of its own, with our kinds known."""
    image()

    async def whole() -> None:
        async with (
            asyncio.timeout(limit),
            real_world() as world,
            _kinds(world.client),
            rights_given(world, folder) as place,
            _controllers(place, folder) as found,
        ):
            try:
                await scenario(found)
            except BaseException:
                for each in (*found.controllers, *place.routers):
                    print(f"--- {type(each).__name__} {each.process.pid}\n" + "\n".join(each.lines[-80:]))
                raise

    asyncio.run(whole())


@asynccontextmanager
async def _kinds(client: Client) -> AsyncIterator[None]:
    """Our CRDs, which stay: other tests use them, too."""
    for path in sorted((ROOT / "helm/cloudbase/crds").glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        await client.apply(CRDS, document["metadata"]["name"], document, "test", force=True)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.list(FUNCTIONS)
                await client.list(REVISIONS)
                break
            except KubeError:
                await asyncio.sleep(0.1)
    yield


@asynccontextmanager
async def _controllers(place: Place, folder: Path) -> AsyncIterator[Operated]:
    """The controller's account with the chart's rights, in this namespace only."""
    client, namespace = place.client, place.namespace
    await client.create(RESOURCES["ServiceAccount"], {"metadata": {"name": ACCOUNT}}, namespace)
    rights = yaml.safe_load((ROOT / "helm/cloudbase/rbac/controller.yaml").read_text())
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}
    here = [{**rule, "resources": [each for each in rule["resources"] if each != "namespaces"]} for rule in rights["everywhere"]]
    rules = [rule for rule in here if rule["resources"]] + rights["own"]
    await client.create(RESOURCES["Role"], {"metadata": {"name": ACCOUNT}, "rules": rules}, namespace)
    reference = {"apiGroup": RBAC, "kind": "Role", "name": ACCOUNT}
    binding = {"metadata": {"name": ACCOUNT}, "subjects": [subject], "roleRef": reference}
    await client.create(RESOURCES["RoleBinding"], binding, namespace)
    await in_force(client, namespace, ACCOUNT, rules)
    config = folder / "controller.kubeconfig"
    config.write_text(json.dumps(await _kubeconfig(place)))
    found = Operated(place, config)
    try:
        yield found
    finally:
        await _leave(found)


async def _leave(found: Operated) -> None:
    """Stop the controllers, then let the functions go without them."""
    for controller in found.controllers:
        await controller.stop()
    for each in await found.client.list(FUNCTIONS, Scope(found.namespace)):
        with suppress(NotFound):
            await found.client.merge(FUNCTIONS, each["metadata"]["name"], {"metadata": {"finalizers": None}}, found.namespace)


async def _kubeconfig(place: Place) -> dict[str, Any]:
    tokens: Resource[dict[str, Any]] = Resource("", "v1", f"serviceaccounts/{ACCOUNT}/token", "TokenRequest", dict)
    request = {"apiVersion": "authentication.k8s.io/v1", "spec": {"expirationSeconds": 3600}}
    token = (await place.client.create(tokens, request, place.namespace))["status"]["token"]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": place.world.access.server, **authority()}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": place.namespace}}],
        "current-context": "c",
    }


async def get(traffic: str, path: str, timeout: float = PATIENCE) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=timeout) as http:
        return await http.get(f"http://{traffic}{path}")
