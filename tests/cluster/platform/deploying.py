"""Somebody who may write functions in one namespace: sends source by the command line, and over the management API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from tests.cluster.platform.installed import PATIENCE, ROOT, Platform, cloudbase, kubectl, may, reachable

ACCOUNT = "deployer"
NEVER_SENT = {"node_modules", ".packages", "__pycache__"}


@dataclass(frozen=True, slots=True)
class Deployer:
    """A service account's token, and where the management API is."""

    server: str
    namespace: str
    token: str

    @property
    def there(self) -> tuple[str, ...]:
        """What the command line needs to know."""
        return ("--server", self.server, "--namespace", self.namespace, "--token", self.token)

    async def deploy(self, http: httpx2.AsyncClient, name: str, files: dict[str, str], **spec: Any) -> None:
        """Create or update a function of these files; it is built and deployed by itself."""
        reply = await http.put(
            f"{self.server}/api/v1/functions/{name}", params={"namespace": self.namespace},
            headers={"Authorization": f"Bearer {self.token}"}, json={"spec": spec, "files": files},
        )  # fmt: skip
        assert reply.status_code in (200, 201), reply.text

    async def send(self, http: httpx2.AsyncClient, name: str, archive: bytes, **spec: Any) -> bool:
        """As `deploy`, of a tar.gz. False: the controller cannot take it now, as while the API server does not reach it."""
        told = {"Content-Type": "application/gzip", "Cloudbase-Spec": quote(json.dumps(spec))}
        reply = await http.put(
            f"{self.server}/api/v1/functions/{name}", params={"namespace": self.namespace},
            headers={"Authorization": f"Bearer {self.token}", **told}, content=archive,
        )  # fmt: skip
        assert reply.status_code in (200, 201) or reply.status_code >= 500, reply.text
        return bool(reply.status_code < 500)

    async def rollback(self, http: httpx2.AsyncClient, name: str) -> None:
        """What `cloudbase rollback` asks for."""
        url = f"{self.server}/api/v1/functions/{name}/rollback"
        token = {"Authorization": f"Bearer {self.token}"}
        reply = await http.post(url, params={"namespace": self.namespace}, headers=token, json={})
        assert reply.status_code == 202, reply.text

    def command_line(self, *arguments: str) -> str:
        """What a command prints that a person gives it."""
        return cloudbase(*arguments, *self.there)

    def ready(self, *names: str) -> None:
        """Wait until each is Ready."""
        functions = [f"function/{name}" for name in names]
        wait = ["wait", "--for=condition=Ready", *functions, f"--timeout={PATIENCE:.0f}s"]
        kubectl("-n", self.namespace, *wait)

    def status(self, name: str) -> dict[str, Any]:
        """A function's status."""
        return dict(json.loads(kubectl("-n", self.namespace, "get", "function", name, "-o", "json")).get("status", {}))

    def delete_all(self) -> None:
        """Every function, and wait for its pods: a namespace that goes with a pod in it waits for half of the pod's grace."""
        within = f"--timeout={PATIENCE:.0f}s"
        kubectl("-n", self.namespace, "delete", "functions", "--all", within)
        kubectl("-n", self.namespace, "wait", "--for=delete", "pods", "-l", "cloudbase.dev/function", within)

    def reason(self, name: str, kind: str = "Ready") -> tuple[str, str]:
        """Reason and message of a condition."""
        for condition in self.status(name).get("conditions", ()):
            if condition["type"] == kind:
                return condition["reason"], condition["message"]
        return "", ""


def deployer(platform: Platform, namespace: str) -> Deployer:
    """Make the account and let it write functions there, and nothing else; the management API can be asked then."""
    kubectl("-n", namespace, "create", "serviceaccount", ACCOUNT)
    verbs = "--verb=get,list,create,update,delete"
    kubectl("-n", namespace, "create", "role", ACCOUNT, verbs, "--resource=functions.cloudbase.dev")
    kubectl("-n", namespace, "create", "rolebinding", ACCOUNT, f"--role={ACCOUNT}", f"--serviceaccount={namespace}:{ACCOUNT}")
    token = kubectl("-n", namespace, "create", "token", ACCOUNT).strip()
    may(f"{namespace}:{ACCOUNT}", "update", "functions.cloudbase.dev", "-n", namespace)
    reachable(platform.controller())
    return Deployer(platform.controller(), namespace, token)


def source(folder: str) -> dict[str, str]:
    """The files of an example, without its settings."""
    root = ROOT / folder
    found = (path for path in sorted(root.rglob("*")) if path.is_file() and not NEVER_SENT & set(path.relative_to(root).parts))
    return {str(Path(path).relative_to(root)): path.read_text() for path in found if path.name != "cloudbase.toml"}
