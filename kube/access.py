"""How to reach an API server and who we are to it: in a pod by its service account, elsewhere by given values.

No environment is read in here; what a kubeconfig says comes from kube.kubeconfig, which alone imports the official package.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_AGE = 60.0  # seconds after which the token file is read again; the kubelet rotates it long before it expires


class BadAccess(Exception):
    """There is no way to an API server here: says what is missing and where it should be."""


class Access(Protocol):
    """Where the API server is and how to identify to it. Asked anew for every connection and request."""

    @property
    def server(self) -> str:
        """https://host:port, or http:// for tests."""

    @property
    def namespace(self) -> str:
        """The namespace that we are in, or that the kubeconfig's context names."""

    @property
    def server_name(self) -> str:
        """The name that the server's certificate must be for; "" = the host."""

    def tls(self) -> ssl.SSLContext | None: ...

    async def authorization(self) -> str:
        """Value of the Authorization field, "" for none (client certificates)."""

    def rejected(self) -> None:
        """The API server answered 401: read everything afresh before the next request."""


@dataclass(frozen=True, slots=True)
class Given:
    """Fixed values, for tests and for tools that know them."""

    server: str
    token: str = ""
    namespace: str = "default"
    context: ssl.SSLContext | None = None
    server_name: str = ""

    def tls(self) -> ssl.SSLContext | None:
        return self.context

    async def authorization(self) -> str:
        return f"Bearer {self.token}" if self.token else ""

    def rejected(self) -> None:
        """Nothing to read again."""


class InCluster:
    """A pod's service account: address from its environment; token, CA and namespace from files that the kubelet keeps fresh."""

    server_name = ""

    def __init__(self, environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> None:
        """Raises BadAccess when this is no pod, or one without a service account token."""
        host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
        if not host or not port:
            raise BadAccess("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod; name a kubeconfig")
        self.server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._folder = folder
        self.namespace = self._read("namespace").strip()
        self._token = ""
        self._token_read_at = float("-inf")
        self._context: ssl.SSLContext | None = None
        self._ca_changed_at = 0
        self._read("token")
        self.tls()

    def _read(self, name: str) -> str:
        path = self._folder / name
        try:
            return path.read_text()
        except OSError as error:
            raise BadAccess(f"{path}: {error.strerror}; does the pod have automountServiceAccountToken: false?") from error

    def tls(self) -> ssl.SSLContext:
        """Made again when the CA file changes."""
        path = self._folder / "ca.crt"
        try:
            changed_at = path.stat().st_mtime_ns
            if self._context is None or changed_at != self._ca_changed_at:
                self._context = client_context(ca=str(path))
                self._ca_changed_at = changed_at
        except (OSError, ssl.SSLError) as error:
            if self._context is None:
                raise BadAccess(f"{path}: no certificate authority: {error}") from error
        return self._context

    async def authorization(self) -> str:
        now = time.monotonic()
        if now - self._token_read_at > TOKEN_AGE:
            try:
                self._token = self._read("token").strip()
            except BadAccess:
                if not self._token:
                    raise
            self._token_read_at = now
        return f"Bearer {self._token}"

    def rejected(self) -> None:
        self._token_read_at = float("-inf")


def client_context(ca: str = "", certificate: str = "", key: str = "", verify: bool = True) -> ssl.SSLContext:
    """TLS context from file names; no CA means the system's. Raises OSError or ssl.SSLError."""
    context = ssl.create_default_context(cafile=ca or None)
    context.set_alpn_protocols(["http/1.1"])
    if certificate:
        context.load_cert_chain(certificate, key or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
