"""The platform as an operator installs it: images of this repository, the chart by helm, and ways to ask it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.shared import helm as chart
from tests.shared.helm import ROOT

NAMESPACE = "cloudbase-test"
BUILDS = "cloudbase-test-builds"
# Of another cluster: CLOUDBASE_TEST_IMAGE (of the platform) and _ECHO (of `program/`) were pushed before;
# the registry as pods and this machine reach it (plain HTTP), as nodes do, and images that it can pull.
REGISTRY = os.environ.get("CLOUDBASE_TEST_REGISTRY", "10.200.0.1:5000")
PULL_REGISTRY = os.environ.get("CLOUDBASE_TEST_PULL_REGISTRY", REGISTRY)
EXECUTOR = os.environ.get("CLOUDBASE_TEST_EXECUTOR", "ghcr.io/osscontainertools/kaniko:latest")
BUSYBOX = os.environ.get("CLOUDBASE_TEST_BUSYBOX", "busybox:stable")
HOST = os.environ.get("CLOUDBASE_TEST_HOST", "10.200.0.1")  # this machine, as pods reach it
NPM_PORT, PIP_PORT = 4873, 4874  # there, while a test serves packages
RELEASE = "cloudbase"
PATIENCE = 300.0  # seconds for what merely takes its time: a slow machine is not what is tested


class Failed(AssertionError):
    """A command that should have worked, with what it said."""


def command(*arguments: str, within: float = PATIENCE, text: str | None = None) -> str:
    """What a program prints. Raises Failed."""
    done = subprocess.run(arguments, cwd=ROOT, input=text, capture_output=True, text=True, timeout=within, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(arguments)}: exit status {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def kubectl(*arguments: str, within: float = PATIENCE + 20, text: str | None = None) -> str:
    """kubectl's output. Raises Failed."""
    return command("kubectl", *arguments, within=within, text=text)


def cloudbase(*arguments: str, within: float = PATIENCE + 20) -> str:
    """What the command line prints to a person who may do anything. Raises Failed."""
    return command(sys.executable, "-m", "cloudbase", *arguments, within=within)


def function(name: str, **spec: Any) -> str:
    """A manifest as a user writes it."""
    head = {"apiVersion": "cloudbase.dev/v1alpha1", "kind": "Function", "metadata": {"name": name}}
    return json.dumps({**head, "spec": spec})


def apply(namespace: str, text: str, *options: str, within: float = PATIENCE) -> None:
    """Write objects; again while the controller, which is asked for its opinion of functions, is away. Raises Failed."""
    deadline = time.monotonic() + within
    while True:
        try:
            kubectl("-n", namespace, "apply", "-f", "-", *options, text=text)
            return
        except Failed as failed:
            if "failed calling webhook" not in str(failed) or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def may(account: str, *what: str, within: float = PATIENCE) -> None:
    """Wait until an account (NAMESPACE:NAME) may do `what` (see `kubectl auth can-i`): rights count by and by. Raises Failed."""
    deadline = time.monotonic() + within
    while True:
        try:
            kubectl("auth", "can-i", *what, f"--as=system:serviceaccount:{account}")
            return
        except Failed:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def reachable(url: str, within: float = PATIENCE) -> None:
    """Wait until a Service takes connections: a node refuses them until it, too, has learnt of a ready pod. Raises Failed."""
    deadline, where = time.monotonic() + within, urlsplit(url)
    while True:
        try:
            socket.create_connection((where.hostname or "", where.port or 80), timeout=2).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise Failed(f"{url} takes no connection after {within:.0f} s: {error}") from None
        time.sleep(0.1)


def build(name: str, folder: Path, dockerfile: str = "") -> str:
    """Build an image where the cluster finds it. Skips where there is nothing to do that with."""
    program = os.environ.get("CLUSTER_COMMAND") or shutil.which("cluster")
    if not program:
        pytest.skip("no `cluster` command (CLUSTER_COMMAND) to build images with: push them and name them (CLOUDBASE_TEST_…)")
    parts = [program, "image", "build", "-t", name, *(["-f", dockerfile] if dockerfile else []), str(folder)]
    try:
        command(*parts, within=800)
    except Failed as failed:  # it fetches packages, which may fail once
        print(failed)
        command(*parts, within=800)
    return name


@cache
def platform_image() -> str:
    """The image of the platform that is tested."""
    return os.environ.get("CLOUDBASE_TEST_IMAGE") or build("cloudbase/platform:test", ROOT, "images/platform/Dockerfile")


@cache
def echo_image() -> str:
    """A program that listens on $PORT, and finishes what is in flight at SIGTERM."""
    return os.environ.get("CLOUDBASE_TEST_ECHO") or build("cloudbase-test/program:4", ROOT / "tests/cluster/platform/program")


@dataclass
class Platform:
    """An installed release."""

    image: str
    namespace: str = NAMESPACE
    release: str = RELEASE
    values: dict[str, Any] = field(default_factory=dict)
    before: set[str] = field(default_factory=set)  # what the cluster held without it, as in held.py
    since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def helm(self, verb: str, *arguments: str, values: dict[str, Any] | None = None, within: float = PATIENCE + 60) -> str:
        """helm about this release, in its namespace."""
        options = ["--values", "-"] if values is not None else []
        parts = [chart.program(), verb, self.release, *arguments, "--namespace", self.namespace, *options]
        return command(*parts, text=json.dumps(values), within=within)

    @property
    def chart(self) -> Path:
        """The chart's folder."""
        return chart.CHART

    @staticmethod
    def dashboards() -> Sequence[Any]:
        """The table that the dashboards are made of."""
        return tuple(chart.dashboards().DASHBOARDS)

    def kubectl(self, *arguments: str) -> str:
        """kubectl in this release's namespace."""
        return kubectl("-n", self.namespace, *arguments)

    def install(self, **values: Any) -> None:
        """Install, or bring up to date, and wait until every part is ready."""
        repository, _, tag = self.image.rpartition(":")
        self.values = {
            "image": {"repository": repository, "tag": tag},
            "registry": {"address": f"{REGISTRY}/test", "pullAddress": f"{PULL_REGISTRY}/test", "insecure": True},
            "builds": {
                "namespace": BUILDS,
                "settings": {
                    "insecurePull": True, "registryMap": {"index.docker.io": REGISTRY}, "executor": EXECUTOR, "busybox": BUSYBOX,
                    "npmRegistry": f"http://{HOST}:{NPM_PORT}/", "pipIndex": f"http://{HOST}:{PIP_PORT}/simple/",
                },
            },
            **values,
        }  # fmt: skip
        for name in ("functions", "revisions"):  # helm installs them, and leaves them at an upgrade: docs/install.md
            if kubectl("get", "crd", f"{name}.cloudbase.dev", "--ignore-not-found"):
                kubectl("apply", "--server-side", "--force-conflicts", "-f", str(chart.CHART / f"crds/{name}.cloudbase.dev.yaml"))
        options = (
            "--install",
            "--create-namespace",
            "--take-ownership",
            "--force-conflicts",
            "--wait",
            "--timeout",
            f"{PATIENCE:.0f}s",
        )
        self.helm("upgrade", str(chart.CHART), *options, values=self.values)
        self._trusted()
        self._reachable()

    @staticmethod
    def echo() -> str:
        """An image of a program that knows nothing of the platform."""
        return echo_image()

    def uninstall(self) -> str:
        return self.helm("uninstall", "--ignore-not-found", "--wait", "--timeout", f"{PATIENCE:.0f}s")

    def _trusted(self, within: float = PATIENCE) -> None:
        """Wait until the API server reaches the webhooks, and knows by which authority they are: the controller tells it then."""
        kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations"
        label = f"app.kubernetes.io/instance={self.release}"
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found = json.loads(kubectl("get", kinds, "-l", label, "-o", "json"))["items"]
            if all(each["clientConfig"].get("caBundle") for one in found for each in one["webhooks"]):
                return apply(self.namespace, function("probe", image="a:1"), "--dry-run=server", within=within)
            time.sleep(0.2)
        raise Failed(f"the webhooks are not trusted after {within:.0f} s")

    def _reachable(self, within: float = PATIENCE) -> None:
        """Wait until both Services take connections."""
        for url in (self.url("/"), self.controller()):
            reachable(url, within)

    def url(self, path: str) -> str:
        """A path of the router's Service."""
        return f"http://{self.address()}{path}"

    def address(self) -> str:
        """Of the router's Service: these tests run where a cluster's services can be reached."""
        return self.kubectl("get", "service", f"{self.release}-router", "-o", "jsonpath={.spec.clusterIP}")

    def controller(self) -> str:
        """Where the management API answers, inside the cluster."""
        address = self.kubectl("get", "service", f"{self.release}-controller", "-o", "jsonpath={.spec.clusterIP}")
        return f"http://{address}:8081"

    def pods(self, component: str = "") -> list[dict[str, Any]]:
        """The pods of a part, or of all, that are not going away."""
        selector = f"app.kubernetes.io/instance={self.release}" + (
            f",app.kubernetes.io/component={component}" if component else ""
        )
        found = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def tell(self) -> str:
        """What somebody who looks for the reason of a failure wants to see."""
        asked = [["-n", self.namespace, "get", "all,events", "-o", "wide"], ["get", "functions", "-A", "-o", "wide"]]
        asked.append(["-n", BUILDS, "get", "jobs,pods,events", "--ignore-not-found"])
        for component in ("router", "controller"):
            selector = f"app.kubernetes.io/component={component}"
            asked.append(["-n", self.namespace, "logs", "--prefix", "--tail", "80", "-l", selector])
        parts = []
        for arguments in asked:
            try:
                parts.append(kubectl(*arguments))
            except Failed as failed:  # a container that has not begun has no log: the rest is worth having all the same
                parts.append(str(failed))
        return "\n".join(parts)


@contextmanager
def installed(before: Callable[[], set[str]], **values: Any) -> Iterator[Platform]:
    """A release with these values, and nothing of it afterwards. `before` tells what there is without it."""
    platform = Platform(platform_image())
    platform.uninstall()  # one that an interrupted run left
    platform.before = before()
    try:
        platform.install(**values)
        yield platform
    except BaseException:
        print(platform.tell())
        raise
    finally:
        platform.uninstall()
        kubectl("delete", "namespace", platform.namespace, "--ignore-not-found", "--timeout", f"{PATIENCE:.0f}s")
