"""`cloudbase adopt` as it is typed, against an API server in memory: what it changes, shows, gives back, and refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloudbase.cli import main
from kube.client import Client
from kube.fake.server import ApiServer
from kube.resource import DEPLOYMENTS, SERVICES

pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")  # in the official package, from 3.12 on

CONTAINER = {"name": "program", "image": "x", "ports": [{"containerPort": 8080}], "readinessProbe": {"tcpSocket": {"port": 8080}}}
DEPLOYMENT = {
    "metadata": {"name": "hello"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "hello"}},
        "template": {"metadata": {"labels": {"app": "hello"}}, "spec": {"containers": [CONTAINER]}},
    },
}
SERVICE = {"metadata": {"name": "hello"}, "spec": {"selector": {"app": "hello"}, "ports": [{"port": 80, "targetPort": 8080}]}}


class Shop:
    """A Deployment and its Service in the namespace `shop`, and the command line on it."""

    def __init__(self, server: ApiServer, client: Client, config: Path) -> None:
        self.server, self.client, self._config = server, client, str(config)

    async def adopt(self, *arguments: str) -> Result:
        command = ["adopt", *arguments, "--kubeconfig", self._config]
        return await asyncio.to_thread(CliRunner().invoke, main, command)

    async def objects(self) -> list[dict[str, Any]]:
        """Both, without what every write changes."""
        found = [
            await self.client.get(DEPLOYMENTS.decoded_as(dict), "hello", "shop"),
            await self.client.get(SERVICES.decoded_as(dict), "hello", "shop"),
        ]
        meta = ("labels", "annotations")
        return [{"spec": each["spec"], **{key: each["metadata"].get(key) or {} for key in meta}} for each in found]


def in_a_shop(folder: Path, scenario: Callable[[Shop], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(100), ApiServer() as server, Client(server.access()) as client:
            await client.create(DEPLOYMENTS, DEPLOYMENT, "shop")
            await client.create(SERVICES, SERVICE, "shop")
            content = {
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": server.url}}],
                "users": [{"name": "u", "user": {"token": "mine"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
            }  # fmt: skip
            (folder / "kubeconfig").write_text(json.dumps(content))
            await scenario(Shop(server, client, folder / "kubeconfig"))

    asyncio.run(whole())


@pytest.mark.parametrize(
    "flags",
    [
        ("--to-zero", "--drain", "5s"),
        ("--name", "greet", "--service", "hello", "--port", "80"),
        ("--to-zero", "--intercept"),
    ],
    ids=" ".join,
)
def test_a_dry_run_shows_what_would_be_changed_and_changes_nothing(tmp_path: Path, flags: tuple[str, ...]) -> None:
    async def scenario(shop: Shop) -> None:
        before = shop.server.store.revision
        done = await shop.adopt("hello", *flags, "--dry-run")
        assert (done.exit_code, shop.server.store.revision) == (0, before), done.output
        assert "service/hello (not changed: --dry-run)" in done.stdout
        assert ("service/hello-direct (not" in done.stdout) == ("--intercept" in flags)
        assert not [call for call in shop.server.calls if call.verb not in ("get", "list", "create")]

    in_a_shop(tmp_path, scenario)


def test_what_was_adopted_is_given_back_and_a_dry_run_of_that_changes_nothing(tmp_path: Path) -> None:
    async def scenario(shop: Shop) -> None:
        before = await shop.objects()
        done = await shop.adopt("hello", "--to-zero", "--drain", "5s", "-n", "shop")
        assert done.exit_code == 0, done.output
        assert "hello answers at /fn/hello of the router" in done.stderr
        what, front = await shop.objects()
        assert front["labels"] == {"cloudbase.dev/route": "hello"}
        assert what["spec"]["template"]["spec"]["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
        assert "nothing to change" in (await shop.adopt("hello", "--to-zero", "--drain", "5s")).stdout

        done = await shop.adopt("hello", "--undo", "--dry-run")
        assert (done.exit_code, await shop.objects()) == (0, [what, front])
        assert "label cloudbase.dev/route removed" in done.stdout and "deployment/hello (not changed" in done.stdout
        assert (await shop.adopt("hello", "--undo")).exit_code == 0
        assert await shop.objects() == before

    in_a_shop(tmp_path, scenario)


def test_what_cannot_be_ends_with_its_code_and_a_sentence(tmp_path: Path) -> None:
    async def scenario(shop: Shop) -> None:
        async def ends(code: int, words: str, *arguments: str) -> None:
            done = await shop.adopt(*arguments)
            assert (done.exit_code, words in done.output) == (code, True), done.output

        await ends(5, "nowhere", "nowhere")
        await ends(2, "was not adopted by this command", "hello", "--undo")
        await ends(2, "is no number of seconds, like 5s", "hello", "--drain", "soon")
        await ends(2, "has no TCP port '81'", "hello", "--port", "81")
        await ends(3, "no-such-context", "hello", "--context", "no-such-context")
        shop.server.faults.allows = lambda verb, resource, namespace: resource != "services"
        await ends(1, "allow the verb 'list' on 'services'", "hello")
        shop.server.faults.allows = None
        shop.server.faults.tokens = {"another"}
        await ends(1, "the user in the kubeconfig", "hello")
        await shop.server.stop()
        await ends(3, "check the address of the API server", "hello")
        await shop.server.start()

    in_a_shop(tmp_path, scenario)
