"""The management API in a cluster: who is let in, by a port forward as by address, and what a function's pod can do with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.cluster.shared import kubectl as here
from tests.cluster.shared import operator_on_a_cluster
from tests.cluster.shared.kubectl import PATIENTLY, Refused, kubectl
from tests.cluster.shared.running import ROOT, US, Controller, function, running, until

pytestmark = pytest.mark.cluster

# Stands where the chart has the controller's pod: what connects to it is connected to the controller that the test runs.
RELAY = """
import asyncio, sys

async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()

async def joined(reader, writer):
    there = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

async def main():
    async with await asyncio.start_server(joined, "0.0.0.0", 8081) as server:
        await server.serve_forever()

asyncio.run(main())
"""
PEOPLE = "people-cloudbase-people"


@dataclass
class Place:
    """A platform, its namespace, and the command line as an administrator with a client certificate has it."""

    controller: Controller
    namespace: str

    def cloudbase(self, *arguments: str, code: int = 0, **environ: str) -> str:
        """What a command prints, both ways, after it ended with `code`."""
        own = {"CLOUDBASE_PLATFORM": self.controller.namespace, "CLOUDBASE_SERVICE_ACCOUNT": PEOPLE, **environ}
        where = () if "CLOUDBASE_SERVER" in environ else ("--namespace", self.namespace)
        command = [sys.executable, "-m", "cloudbase", *arguments, *where]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | own, capture_output=True, text=True, timeout=here.PATIENCE, check=False
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def following(self, name: str) -> Iterator[list[str]]:
        """`cloudbase logs --follow`: the lines it has printed so far."""
        own = {"CLOUDBASE_PLATFORM": self.controller.namespace, "CLOUDBASE_SERVICE_ACCOUNT": PEOPLE}
        command = [sys.executable, "-m", "cloudbase", "logs", name, "--follow", "--tail", "0", "-o", "json"]
        process = subprocess.Popen(
            [*command, "--namespace", self.namespace], cwd=ROOT, env=os.environ | own, stdout=subprocess.PIPE, text=True
        )
        lines: list[str] = []

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield lines
        finally:
            process.terminate()
            process.wait(30)
            reader.join(30)
            if process.stdout:
                process.stdout.close()

    def call(self, method: str, path: str, token: str = "", **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.request(
            method, f"{self.controller.admin}/api/v1{path}", headers=headers, trust_env=False, timeout=60, **more
        )

    def token(self, account: str) -> str:
        return kubectl("create", "token", account, "-n", self.namespace).strip()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    image = operator_on_a_cluster.image()
    with (
        running(tmp_path_factory.mktemp("controller")) as controller,
        here.namespace("people") as name,
        here.applied(people(controller.namespace)),
    ):
        relay(controller)
        kubectl("create", "-n", name, "-f", "-", document=function("hello", {"image": image, "scaling": {"min": 1}}))
        kubectl("wait", "function/hello", "--for=condition=Ready", "-n", name, *PATIENTLY)
        try:
            yield Place(controller, name)
        finally:  # the controller is there still, who lets them go
            kubectl("delete", "functions", "--all", "-n", name, *PATIENTLY)


def relay(controller: Controller) -> None:
    container = {
        "name": "relay", "image": "python:3.13-slim",
        "command": ["python", "-c", RELAY, US, controller.admin.rpartition(":")[2]],
        "readinessProbe": {"tcpSocket": {"port": 8081}, "periodSeconds": 1},
    }  # fmt: skip
    labels = {"app.kubernetes.io/name": "cloudbase", "app.kubernetes.io/component": "controller"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "controller", "labels": labels}}
    pod["spec"] = {"containers": [container], "terminationGracePeriodSeconds": 0}
    kubectl("create", "-n", controller.namespace, "-f", "-", document=pod)
    kubectl("wait", "pod/controller", "--for=condition=Ready", "-n", controller.namespace, *PATIENTLY)


def people(namespace: str) -> list[dict[str, Any]]:
    """The chart's account for people, in the platform's namespace, with its rights; of a release that nobody else has."""
    rendered = here.CHART.render({}, "--namespace", namespace, release="people")
    names = (PEOPLE, "people-cloudbase-functions-edit", "people-cloudbase-functions-view")
    chosen = [each for each in rendered if each["metadata"]["name"] in names]
    assert len(chosen) == 4
    return chosen


def test_without_a_token_nothing_of_the_api_answers_and_health_and_metrics_do(place: Place) -> None:
    for method, path in (
        ("GET", "/functions"), ("PUT", "/functions/hello"), ("DELETE", "/functions/hello"), ("POST", "/functions/hello/rollback"),
        ("GET", "/functions/hello/logs"), ("GET", "/openapi.json"), ("GET", "/nothing"),
    ):  # fmt: skip
        refused = place.call(method, path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="cloudbase"'), path
        assert place.call(method, path, "nonsense").status_code == 401
    assert httpx2.get(f"{place.controller.admin}/healthz", trust_env=False, timeout=60).status_code == 200
    assert here.read("function", "hello", "-n", place.namespace)


def test_a_token_opens_what_its_account_may_do_and_says_what_is_missing(place: Place) -> None:
    where = f"?namespace={place.namespace}"
    kubectl("create", "serviceaccount", "eva", "-n", place.namespace)
    token = place.token("eva")
    refused = place.call("GET", f"/functions/hello{where}", token)
    assert refused.status_code == 403
    assert f'eva cannot get functions.cloudbase.dev "hello" in the namespace {place.namespace}' in refused.json()["detail"]
    kubectl("create", "role", "look", "--verb=get,list", "--resource=functions.cloudbase.dev", "-n", place.namespace)
    kubectl("create", "rolebinding", "look", "--role=look", f"--serviceaccount={place.namespace}:eva", "-n", place.namespace)
    until(lambda: place.call("GET", f"/functions/hello{where}", token).status_code == 200)
    assert [each["name"] for each in place.call("GET", f"/functions{where}", token).json()["items"]] == ["hello"]
    spec = {"spec": {"image": "a:1"}}
    for method, path, verb, body in (
        ("PUT", "/functions/hello", "update", spec), ("PUT", "/functions/other", "create", spec),
        ("DELETE", "/functions/hello", "delete", None), ("POST", "/functions/hello/redeploy", "update", None),
    ):  # fmt: skip
        refused = place.call(method, f"{path}{where}", token, json=body)
        assert refused.status_code == 403 and f"eva cannot {verb} functions.cloudbase.dev" in refused.json()["detail"]
    assert place.call("GET", "/functions", token).status_code == 403  # of another namespace
    assert place.call("GET", "/functions?namespace=*", token).status_code == 403
    kubectl("delete", "serviceaccount", "eva", "-n", place.namespace)
    until(lambda: place.call("GET", f"/functions{where}", token).status_code == 401)


def test_the_command_line_works_by_a_port_forward_with_a_client_certificate(place: Place) -> None:
    began = time.monotonic()
    assert "hello" in place.cloudbase("list")
    print(f"a list by port forward took {time.monotonic() - began:.2f} s")
    told = place.cloudbase("describe", "hello")
    assert "Ready" in told and "hello-00001" in told
    context = kubectl("config", "current-context").strip()
    assert json.loads(place.cloudbase("list", "--context", context, "-o", "json"))["items"][0]["name"] == "hello"
    assert "hello-00001" in place.cloudbase("revisions", "hello")
    assert "Redeployed hello" in place.cloudbase("redeploy", "hello")
    lines = place.cloudbase("revisions", "hello").splitlines()
    assert lines[1].split()[:2] == ["hello-00002", "100"] and lines[2].startswith("hello-00001")
    assert "hello: hello-00001 has the traffic" in place.cloudbase("rollback", "hello")
    route = here.read("service", "hello", "-n", place.namespace)
    assert json.loads(route["metadata"]["annotations"]["cloudbase.dev/backends"])[0]["service"] == "hello-00001"
    assert "hello: hello-00002 has the traffic" in place.cloudbase("rollback", "hello", "--to", "newest")
    assert "there is no function" in place.cloudbase("describe", "nobody", code=5)


def pods(place: Place, selector: str) -> list[dict[str, Any]]:
    """Those that are not going away."""
    found = json.loads(kubectl("get", "pods", "-n", place.namespace, "-l", selector, "-o", "json"))["items"]
    return [each for each in found if "deletionTimestamp" not in each["metadata"]]


def test_logs_come_of_all_replicas(place: Place) -> None:
    kubectl("scale", "function", "hello", "--replicas=2", "-n", place.namespace)
    try:
        until(lambda: here.read("deployment", "hello-00002", "-n", place.namespace)["status"].get("readyReplicas") == 2)

        def replicas() -> set[str]:
            found = place.cloudbase("logs", "hello", "-o", "json").splitlines()
            return {json.loads(line)["replica"] for line in found if line.startswith("{")}

        found = pods(place, "cloudbase.dev/revision=hello-00002")
        names = {each["metadata"]["name"] for each in found}
        assert len(names) == 2

        def call() -> None:
            for each in found:  # the program writes a line for each request
                port = each["spec"]["containers"][0]["ports"][0]["containerPort"]
                url = f"http://{each['status']['podIP']}:{port}/"
                assert httpx2.get(url, trust_env=False, timeout=60).status_code == 200

        call()
        until(lambda: names <= replicas())
        with place.following("hello") as told:
            until(lambda: call() or names <= {json.loads(line)["replica"] for line in told if line.startswith("{")})
    finally:
        pinned = '[{"op":"remove","path":"/spec/replicas"}]'
        kubectl("patch", "function", "hello", "-n", place.namespace, "--type=json", "-p", pinned)


def test_the_command_line_works_by_address_with_a_token_and_says_what_to_do_without_one(place: Place) -> None:
    server = {"CLOUDBASE_SERVER": place.controller.admin, "CLOUDBASE_NAMESPACE": place.namespace}
    token = kubectl("create", "token", PEOPLE, "-n", place.controller.namespace).strip()
    assert "hello" in place.cloudbase("list", **server, CLOUDBASE_TOKEN=token)
    assert "kubectl create token NAME" in place.cloudbase("list", code=4, **server)
    told = place.cloudbase("list", code=3, CLOUDBASE_PLATFORM=place.namespace)
    assert f"no controller is ready in the namespace {place.namespace}" in told and "CLOUDBASE_PLATFORM" in told
    told = place.cloudbase("list", code=4, CLOUDBASE_SERVICE_ACCOUNT="nobody")
    assert "CLOUDBASE_SERVICE_ACCOUNT=NAMESPACE/NAME" in told


INSIDE = """
import os, urllib.error, urllib.request
tokens = [os.path.join(path, name) for path, _, names in os.walk("/var/run/secrets") for name in names]
print("tokens", tokens, [key for key in os.environ if "TOKEN" in key])
for method, path in (("PUT", "functions/evil"), ("DELETE", "functions/hello"), ("GET", "functions")):
    request = urllib.request.Request("{server}/api/v1/" + path, method=method, data=b"{{}}" if method == "PUT" else None)
    try:
        print(method, urllib.request.urlopen(request, timeout=60).status)
    except urllib.error.HTTPError as error:
        print(method, error.code)
"""


def test_from_inside_a_function_s_pod_the_write_side_answers_401_and_there_is_no_token_to_be_had(place: Place) -> None:
    program = INSIDE.format(server=f"http://{US}:{place.controller.admin.rpartition(':')[2]}")

    def said_inside() -> str:
        for pod in pods(place, "cloudbase.dev/function=hello"):
            assert pod["spec"]["automountServiceAccountToken"] is False
            with suppress(Refused):  # one of those that the test before asked for may go just now
                return kubectl("exec", "-n", place.namespace, pod["metadata"]["name"], "--", "python3", "-c", program)
        return ""

    assert until(said_inside).splitlines() == ["tokens [] []", "PUT 401", "DELETE 401", "GET 401"]


def test_a_function_is_deleted_from_the_command_line(place: Place) -> None:
    document = function("goes", {"image": operator_on_a_cluster.IMAGE, "scaling": {"initial": 0}})
    kubectl("create", "-n", place.namespace, "-f", "-", document=document)
    until(lambda: "goes" in place.cloudbase("list"))
    assert "Deleted goes" in place.cloudbase("delete", "goes", "--yes")
    with pytest.raises(Refused, match="NotFound"):
        here.read("function", "goes", "-n", place.namespace)
