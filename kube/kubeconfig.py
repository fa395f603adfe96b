"""Access by a kubeconfig file, with everything that the official client understands: exec plugins, OIDC, files or data.

The one module that imports the `kubernetes` package (extra `kube`; 55 MiB), and only when it is used: never in a pod.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kube.access import BadAccess, client_context

FRESH = 0.75  # of its lifetime that a plugin's token is used; then the plugin runs again


class Kubeconfig:
    """One context of a kubeconfig. Make it with `await Kubeconfig.load(path)`."""

    def __init__(self, path: str, context: str) -> None:
        self.server = ""
        self.server_name = ""
        self.namespace = "default"
        self._path = path
        self._wanted_context = context
        self._authorization = ""
        self._refresh_at: datetime | None = None
        self._stale = False
        self._tls: ssl.SSLContext | None = None
        self._loading = asyncio.Lock()

    @classmethod
    async def load(cls, path: str, context: str = "") -> Kubeconfig:
        """path: one file or several joined by ":" as in $KUBECONFIG; context "" = the current one. Raises BadAccess."""
        access = cls(path, context)
        await access._load()
        return access

    def tls(self) -> ssl.SSLContext | None:
        return self._tls

    async def authorization(self) -> str:
        if self._stale or self._runs_out():
            async with self._loading:  # one plugin run for all requests that wait
                if self._stale or self._runs_out():
                    await self._load()
        return self._authorization

    def rejected(self) -> None:
        self._stale = True

    def _runs_out(self) -> bool:
        return self._refresh_at is not None and datetime.now(UTC) > self._refresh_at

    async def _load(self) -> None:
        _require_file(self._path)
        configuration, loader = await _load_official(self._path, self._wanted_context)
        if getattr(configuration, "proxy", None):
            raise BadAccess(f"kubeconfig {self._path}: proxy-url is not supported; use a port forward, or run in the cluster")
        self._take(configuration, loader)
        self._stale = False

    def _take(self, configuration: Any, loader: Any) -> None:
        self.server = configuration.host
        self.server_name = configuration.tls_server_name or ""
        self.namespace = loader.current_context["context"].get("namespace") or "default"
        self._authorization = configuration.api_key.get("BearerToken", "")
        expires: datetime | None = getattr(loader, "exec_plugin_expiry", None)
        now = datetime.now(UTC)
        self._refresh_at = None if expires is None else now + (expires - now) * FRESH
        if self.server.startswith("https:"):
            try:
                self._tls = client_context(
                    configuration.ssl_ca_cert or "", configuration.cert_file or "", configuration.key_file or "",
                    configuration.verify_ssl,
                )  # fmt: skip
            except (OSError, ssl.SSLError) as error:
                raise BadAccess(f"kubeconfig {self._path}: its certificates are not usable: {error}") from error


def _require_file(path: str) -> None:
    if not any(Path(part).expanduser().is_file() for part in path.split(":") if part):
        raise BadAccess(f"kubeconfig {path or '(no name)'}: no such file; set KUBECONFIG or name one")


async def _load_official(path: str, context: str) -> tuple[Any, Any]:
    """The official Configuration and loader."""
    try:
        from kubernetes.aio import config
        from kubernetes.aio.client import Configuration
    except ImportError as error:
        raise BadAccess("a kubeconfig needs the `kubernetes` package: pip install 'cloudbase-serverless[kube]'") from error
    configuration = Configuration()
    try:
        load: Any = config.load_kube_config
        loader = await load(path, context or None, configuration, persist_config=False)
    except Exception as error:
        # The package raises its own, KeyErrors, TypeErrors and YAML's: all mean that the file cannot be used.
        raise BadAccess(f"kubeconfig {path}: {error or type(error).__name__}") from error
    user = loader._user  # no other way to tell whether a plugin was meant to run: its failures are only logged
    has_plugin = user is not None and "exec" in user
    if has_plugin and not (configuration.api_key.get("BearerToken") or configuration.cert_file):
        raise BadAccess(f"kubeconfig {path}: the exec plugin {user['exec']['command']!r} gave no credentials; run it by hand")
    return configuration, loader
