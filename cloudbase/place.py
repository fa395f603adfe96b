"""Which platform a command talks to: its address, its token and its data folder, found without being told where possible.

The data folder is `--data`, CLOUDBASE_DATA, or the nearest `.cloudbase` upward from the working folder. Its `lock` file says
where the platform listens, its `token` file lets us in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudbase.errors import Misused, NoPlatform
from cloudbase.settings import ADMIN, DATA, LISTEN, Address, address, kubeconfig, variable

PLATFORM = "cloudbase-system"
ACCOUNT = "cloudbase-people"
IN_A_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def _none() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A platform in a cluster, as a kubeconfig's user reaches it."""

    kubeconfig: str
    context: str = ""  # "" = the current one
    platform: str = PLATFORM  # namespace that it runs in
    account: str = ACCOUNT  # service account for users without a token, NAME or NAMESPACE/NAME


@dataclass(frozen=True, slots=True)
class Place:
    """A platform to talk to. `token` is empty when none was found: the platform then says 401."""

    admin: Address
    listen: Address
    token: str
    folder: Path | None = None
    server: str = ""  # URL of the management API; "" = http:// and `admin`
    namespace: str = ""  # of the functions; "" = the platform's usual one
    cluster: Cluster | None = None  # the way there, where it is not open yet
    trouble: Callable[[], str] = _none  # what is wrong with the way there

    @property
    def base(self) -> str:
        """URL of the management API."""
        return self.server or f"http://{self.admin}"

    @property
    def where(self) -> str:
        """The platform, in words."""
        if self.cluster:
            return f"the context {self.cluster.context}" if self.cluster.context else "the kubeconfig's context"
        return self.server or str(self.admin)

    @property
    def start_hint(self) -> str:
        """What to do about the platform that did not answer."""
        if self.cluster or self.server:
            why = self.trouble()
            look = f"look at the controller's pod in the namespace {self.cluster.platform}" if self.cluster else "check --server"
            return f"{look}{f': {why}' if why else ''}"
        other = self.admin != ADMIN and self.folder is None
        return f"start one with `cloudbase dev{f' --admin {self.admin}' if other else ''}`"


def find(data: str | None = None, admin: str | None = None, token: str | None = None, start: Path | None = None) -> Place:
    """The platform meant by the options, the environment and the folders upward from `start`. Raises Misused, NoPlatform."""
    return _here(data, admin, token, start)


def elsewhere(server: str | None, context: str | None, namespace: str | None, token: str | None) -> Place | None:
    """The platform in a cluster that the options or the environment name: by URL, or by a kubeconfig. None: it is one here.

    Raises Misused.
    """
    server, context = server or variable("server"), context or variable("context")
    namespace = namespace or variable("namespace") or ""
    if not (server or context or namespace):
        return None
    here, token = (ADMIN, LISTEN), token or variable("token") or ""
    if server:
        if not server.startswith(("http://", "https://")):
            raise Misused(
                f"--server must be a URL, was {server!r}", "write for example --server http://cloudbase-controller:8081"
            )
        return Place(*here, token or _own_token(), server=server.rstrip("/"), namespace=namespace)
    cluster = Cluster(kubeconfig(), context or "", variable("platform") or PLATFORM, variable("service_account") or ACCOUNT)
    return Place(*here, token, namespace=namespace, cluster=cluster)


def _own_token() -> str:
    """That of the pod that the command runs in; "" elsewhere."""
    try:
        return IN_A_POD.read_text().strip()
    except OSError:
        return ""


def _here(data: str | None, admin: str | None, token: str | None, start: Path | None) -> Place:
    folder = _folder(data or variable("data"), start or Path.cwd())
    state = read_state(folder) if folder else {}
    stated = admin or variable("admin")
    try:
        where = address(stated) if stated else address(state.get("admin", str(ADMIN)))
        traffic = address(variable("listen") or state.get("listen", str(LISTEN)))
    except ValueError as error:
        raise Misused(f"the platform's address {error}, was {stated!r}") from error
    return Place(where, traffic, token or variable("token") or _token(folder), folder)


def read_state(folder: Path) -> dict[str, Any]:
    """What the platform wrote into its lock file: {"pid", "listen", "admin"}; empty when there is none or it makes no sense."""
    try:
        state = json.loads((folder / "lock").read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _folder(stated: str | None, start: Path) -> Path | None:
    if stated:
        folder = Path(stated)
        if not folder.is_dir():
            raise NoPlatform(f"there is no data folder {folder}", f"start a platform with `cloudbase dev --data {folder}`")
        return folder
    return next((up / DATA for up in (start, *start.parents) if (up / DATA).is_dir()), None)


def _token(folder: Path | None) -> str:
    if folder is None:
        return ""
    try:
        return (folder / "token").read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        hint = "run this as the user who started the platform, or give --token"
        raise NoPlatform(f"cannot read the token in {folder / 'token'}: {error}", hint) from error
