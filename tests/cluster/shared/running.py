"""A controller as a process of its own under the chart's rights, with the webhooks, for namespaces that are labelled."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.shared import kubectl as here
from tests.cluster.shared.kubectl import Refused, kubectl
from tests.shared.free_ports import free_port

ROOT = Path(__file__).parents[3]
NAME = "admitting-cloudbase-controller"  # as the chart names it in a release `admitting`
US = "10.200.0.1"  # what the API server and pods reach this process by
LABEL = "admission-test"
CONFIGURATIONS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


@dataclass
class Controller:
    """One process, which may be stopped and started again."""

    config: Path
    namespace: str
    webhooks: int  # port
    log: Path
    process: subprocess.Popen[bytes] | None = None
    admin: str = ""
    flags: tuple[str, ...] = field(default_factory=tuple)

    def start(self) -> None:
        """Returns when it works and is trusted."""
        arguments = [
            sys.executable, "-m", "controller", "--kube", "--kube-config", str(self.config), "--admin", "0.0.0.0:0",
            "--lease-namespace", self.namespace, "--lease", NAME, "--webhooks", f"0.0.0.0:{self.webhooks}",
            "--webhooks-names", US, "--webhooks-service", f"{NAME}-webhooks", "--webhooks-configuration", NAME, *self.flags,
        ]  # fmt: skip
        began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(arguments, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        self.admin = until(lambda: self._admin(began))
        until(lambda: ": leading" in self.log.read_text()[began:])
        until(self._asked)

    def stop(self, hard: bool = False) -> None:
        if self.process is not None:
            (self.process.kill if hard else self.process.terminate)()
            self.process.wait(here.PATIENCE)
            self.process = None

    def _admin(self, began: int) -> str:
        assert self.process is not None and self.process.poll() is None, self.log.read_text()[-4000:]
        found = re.search(r"admin on \S+:(\d+),", self.log.read_text()[began:])
        return f"http://127.0.0.1:{found[1]}" if found else ""

    def _asked(self) -> bool:
        """Whether the API server asks us, by a write that is not carried out."""
        try:
            kubectl("create", "--dry-run=server", "-n", self.namespace, "-f", "-", document=function("probe", {"image": "a:1"}))
        except Refused as error:
            assert "webhook" in str(error), error
            return False
        return True


def until(there: Any, within: float = here.PATIENCE) -> Any:
    """What it gives, once that is something."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if found := there():
            return found
        time.sleep(0.1)
    raise AssertionError(f"it did not come true within {within:g} s")


def function(name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A manifest."""
    return {"apiVersion": "cloudbase.dev/v1alpha1", "kind": "Function", "metadata": {"name": name, **metadata}, "spec": spec}


@contextmanager
def running(folder: Path) -> Iterator[Controller]:
    """The controller with everything that it needs; all of it goes at the end."""
    port = free_port("0.0.0.0")
    rendered = here.CHART.render({"admission": {"webhooks": True}}, release="admitting")
    configurations = [_here(each, port) for each in rendered if each["kind"] in CONFIGURATIONS]
    assert len(configurations) == 2
    kinds = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "helm/cloudbase/crds").glob("*.yaml"))]
    kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", document={"apiVersion": "v1", "kind": "List", "items": kinds}
    )
    kubectl("wait", "--for=condition=Established", "crd/functions.cloudbase.dev", "crd/revisions.cloudbase.dev", *here.PATIENTLY)
    with here.namespace("admission", **{LABEL: "yes"}) as name, here.applied(rights(name)):
        config = folder / "controller.kubeconfig"
        config.write_text(json.dumps(kubeconfig(kubectl("create", "token", NAME, "-n", name).strip())))
        controller = Controller(config, name, port, folder / "controller.log")
        with here.applied(configurations):
            try:
                controller.start()
                yield controller
            finally:
                _leave(controller)


def rights(namespace: str) -> list[dict[str, Any]]:
    """A service account with what the chart gives the controller."""
    text = (ROOT / "helm/cloudbase/rbac/controller.yaml").read_text().replace("cloudbase-controller", NAME)
    rules = yaml.safe_load(text)
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}

    def role(kind: str, rules: list[Any]) -> list[dict[str, Any]]:
        place = {"namespace": namespace} if kind == "Role" else {}
        reference = {"apiGroup": rbac, "kind": kind, "name": NAME}
        meta = {"name": NAME, **place}
        return [
            {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": meta, "rules": rules},
            {"apiVersion": f"{rbac}/v1", "kind": f"{kind}Binding", "metadata": meta, "subjects": [subject], "roleRef": reference},
        ]

    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": namespace}}
    return [account, *role("ClusterRole", rules["everywhere"] + rules["cluster"]), *role("Role", rules["own"])]


def kubeconfig(token: str) -> dict[str, Any]:
    """The cluster of KUBECONFIG, by a token."""
    own = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    [cluster] = [each["cluster"] for each in own["clusters"]]
    if "certificate-authority" in cluster:
        authority = Path(os.environ["KUBECONFIG"]).parent / cluster.pop("certificate-authority")
        cluster["certificate-authority-data"] = base64.b64encode(authority.read_bytes()).decode()
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip


def _here(configuration: dict[str, Any], port: int) -> dict[str, Any]:
    """The chart's configuration, asking this process, about the test's namespaces."""
    for each in configuration["webhooks"]:
        each["clientConfig"] = {"url": f"https://{US}:{port}{each['clientConfig']['service']['path']}"}
        each["namespaceSelector"] = {"matchLabels": {LABEL: "yes"}}
    return configuration


def _leave(controller: Controller) -> None:
    """Functions go while somebody is there who lets them go: also after a test that failed."""
    try:
        if controller.process is not None:
            kubectl("delete", "functions", "--all", "-n", controller.namespace, *here.PATIENTLY)
    finally:
        controller.stop()
        print(controller.log.read_text()[-8000:] if controller.log.exists() else "no log")
