"""Sources out of git repositories: what a function names, with the credentials of its namespace, as a tree and a commit."""

from __future__ import annotations

import base64

from controller import archive
from controller.kube.build.git import Checkout, GitFailed, fetch
from controller.kube.build.settings import BuildSettings
from controller.model import Git
from kube.client import Client
from kube.errors import Forbidden, NotFound
from kube.resource import SECRETS


class Checkouts:
    """Fetches what functions name in `git`."""

    def __init__(self, client: Client, settings: BuildSettings, limits: archive.Limits | None = None) -> None:
        self._client, self._settings = client, settings
        self._limits = limits or archive.Limits()

    async def fetch(self, git: Git, namespace: str) -> Checkout:
        """Raises GitFailed, BadSource and KubeError."""
        secret = await self._secret(git.secret, namespace) if git.secret else {}
        return await fetch(git, secret, self._limits, timeout=self._settings.git_timeout, env=self._settings.git_env)

    async def _secret(self, name: str, namespace: str) -> dict[str, bytes]:
        try:
            found = await self._client.get(SECRETS, name, namespace)
        except NotFound:
            raise GitFailed(
                "GitDenied", f"there is no Secret {name} in the namespace {namespace}, which git.secret names"
            ) from None
        except Forbidden as error:
            raise GitFailed("GitDenied", f"the controller may not read the Secret that git.secret names: {error}") from error
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
