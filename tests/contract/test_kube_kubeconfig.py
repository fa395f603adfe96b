"""kube.kubeconfig: access by a kubeconfig, exec plugins included, against the fake API server."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kube.access import BadAccess
from kube.client import Client
from kube.errors import Unauthorized
from kube.fake.server import ApiServer
from kube.kubeconfig import Kubeconfig
from kube.resource import SERVICES
from kube.watch import Scope

pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")  # in the official package, from 3.12 on


def write(folder: Path, server: str, user: dict[str, Any], **cluster: Any) -> str:
    """A kubeconfig with one context in the namespace `shop`; JSON is YAML."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(content))
    return str(path)


def plugin(folder: Path, body: str) -> dict[str, Any]:
    """A user whose credentials a program prints; it counts its runs in the file `runs`."""
    program = folder / "plugin"
    runs = folder / "runs"
    program.write_text(f"#!{sys.executable}\nopen({str(runs)!r}, 'a').write('x')\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}}


def printing(token_file: Path, expires: datetime) -> str:
    stamp = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    status = f"dict(token=open({str(token_file)!r}).read(), expirationTimestamp={stamp!r})"
    head = "kind='ExecCredential', apiVersion='client.authentication.k8s.io/v1'"
    return f"import json; print(json.dumps(dict({head}, status={status})))"


def with_server(scenario: Callable[[ApiServer], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(100), ApiServer() as server:
            await scenario(server)

    asyncio.run(whole())


def test_a_token_and_the_namespace_of_the_context_are_used(tmp_path: Path) -> None:
    async def scenario(server: ApiServer) -> None:
        server.faults.tokens = {"secret"}
        access = await Kubeconfig.load(write(tmp_path, server.url, {"token": "secret"}))
        assert access.namespace == "shop"
        async with Client(access) as client:
            assert await client.list(SERVICES, Scope(access.namespace)) == []

    with_server(scenario)


def test_an_exec_plugin_is_run_once_and_again_when_its_token_is_rejected(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    user = plugin(tmp_path, printing(token, datetime.now(UTC) + timedelta(hours=1)))

    async def scenario(server: ApiServer) -> None:
        server.faults.tokens = {"first"}
        access = await Kubeconfig.load(write(tmp_path, server.url, user))
        async with Client(access) as client:
            await asyncio.gather(*(client.list(SERVICES, Scope("shop")) for _ in range(3)))
            assert (tmp_path / "runs").read_text() == "x"
            token.write_text("second")
            server.faults.tokens = {"second"}
            await client.list(SERVICES, Scope("shop"))
            assert (tmp_path / "runs").read_text() == "xx"
            server.faults.tokens = {"third"}
            with pytest.raises(Unauthorized):
                await client.list(SERVICES, Scope("shop"))

    with_server(scenario)


def test_an_exec_plugin_may_give_a_client_certificate_instead_of_a_token(tmp_path: Path) -> None:
    folder = Path(__file__).parents[1] / "integration" / "router"
    texts = {"clientCertificateData": folder / "localhost.pem", "clientKeyData": folder / "localhost.key.pem"}
    status = {key: path.read_text() for key, path in texts.items()}
    answer = {"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": status}
    user = plugin(tmp_path, f"print({json.dumps(answer)!r})")

    access = asyncio.run(Kubeconfig.load(write(tmp_path, "https://127.0.0.1:1", user)))

    assert access.tls() is not None and asyncio.run(access.authorization()) == ""
    assert (tmp_path / "runs").read_text() == "x"


def test_a_plugin_whose_token_has_nearly_run_out_is_run_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    user = plugin(tmp_path, printing(token, datetime.now(UTC) - timedelta(seconds=1)))

    async def scenario(server: ApiServer) -> None:
        access = await Kubeconfig.load(write(tmp_path, server.url, user))
        async with Client(access) as client:
            await client.list(SERVICES, Scope("shop"))
        assert (tmp_path / "runs").read_text() == "xx"

    with_server(scenario)


@pytest.mark.parametrize(
    ("user", "cluster", "words"),
    [
        (
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/no/such/plugin"}},
            {},
            "/no/such/plugin.*run it by hand",
        ),
        ({"token": "t"}, {"proxy-url": "http://proxy:3128"}, "proxy-url is not supported"),
        ({"token": "t"}, {"certificate-authority": "/no/such/ca.crt"}, "does not exist"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_says_why(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], words: str
) -> None:
    path = write(tmp_path, "https://127.0.0.1:1", user, **cluster)
    with pytest.raises(BadAccess, match=f"(?i){path}.*{words}"):
        asyncio.run(Kubeconfig.load(path))


def test_a_missing_or_broken_file_or_context_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadAccess, match="no such file; set KUBECONFIG"):
        asyncio.run(Kubeconfig.load(str(tmp_path / "none")))
    with pytest.raises(BadAccess, match="no name"):
        asyncio.run(Kubeconfig.load(""))
    path = write(tmp_path, "https://127.0.0.1:1", {"token": "t"})
    with pytest.raises(BadAccess, match="elsewhere"):
        asyncio.run(Kubeconfig.load(path, context="elsewhere"))
    (tmp_path / "kubeconfig").write_text("just text")
    with pytest.raises(BadAccess, match="kubeconfig"):
        asyncio.run(Kubeconfig.load(path))


def test_nothing_but_the_kubeconfig_module_imports_the_official_package() -> None:
    program = (
        "import sys, kube.informer, kube.lease, kube.recorder, kube.access, kube.kubeconfig;"
        "sys.exit(bool({'kubernetes', 'httpx2', 'httpx', 'yaml', 'aiohttp'} & set(sys.modules)))"
    )
    status = os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", program)
    assert status == 0
