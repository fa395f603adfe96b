"""The webhooks over TLS with certificates of their own, kept in an API server's Secret, renewed without a restart."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx2

from controller.kube.admission.app import create_app
from controller.kube.admission.configurations import MUTATING, VALIDATING
from controller.kube.admission.keeper import Keeper, Post
from controller.kube.admission.ring import DAY
from controller.kube.admission.serve import serve
from kube.client import Client
from kube.errors import NotFound
from kube.fake.server import ApiServer
from kube.resource import SECRETS
from tests.shared.function_documents import GOOD_SPEC
from tests.shared.waiting import until

NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME: the tests' clock is ahead of the machine's
NAMES = ("localhost", "127.0.0.1")
POST = Post("system", "certificates", "cloudbase", NAMES, look=0.05)


@dataclass
class Clock:
    """A time that is set."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def cluster() -> AsyncIterator[Client]:
    async with ApiServer() as server, Client(server.access()) as client:
        for kind in (VALIDATING, MUTATING):
            hooks = [
                {"name": f"{name}.cloudbase.dev", "clientConfig": {"url": "https://x/"}} for name in ("functions", "revisions")
            ]
            await client.create(kind, {"metadata": {"name": "cloudbase"}, "webhooks": hooks})
        yield client


@contextlib.asynccontextmanager
async def served(client: Client, clock: Callable[[], float]) -> AsyncIterator[tuple[Keeper, int]]:
    keeper = Keeper(client, POST, clock)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(serve(create_app(lambda namespace, name: ""), listener, keeper))
        async with asyncio.timeout(100):
            await keeper.ready.wait()
        yield keeper, listener.getsockname()[1]
        serving.cancel()
        await asyncio.wait({serving})


async def bundle(client: Client) -> str:
    found = await client.get(VALIDATING, "cloudbase")
    [one] = {each["clientConfig"]["caBundle"] for each in found["webhooks"]}
    return base64.b64decode(one).decode()


def trusting(bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=bundle)
    context.verify_flags |= NO_CHECK_TIME  # type: ignore[assignment]
    return context


def peer(port: int, trusted: str) -> str:
    """The certificate that is served, by who trusts the bundle: raises SSLError where it is not trusted."""
    context = trusting(trusted)
    with socket.create_connection(("127.0.0.1", port), 10) as raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
        return str(ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b""))


def alone(scenario: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @functools.wraps(scenario)
    def test() -> None:
        asyncio.run(scenario())

    return test


@alone
async def test_reviews_are_answered_to_who_trusts_what_the_configurations_say() -> None:
    async with cluster() as client, served(client, Clock()) as (_, port):
        trusted = await bundle(client)
        review: dict[str, Any] = {"uid": "1", "operation": "CREATE", "namespace": "a", "name": "hello",
                                  "kind": {"group": "cloudbase.dev", "version": "v1alpha1", "kind": "Function"},
                                  "object": {"metadata": {"name": "hello"}, "spec": GOOD_SPEC | {"timeout": -1}}}  # fmt: skip
        document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": review}
        context = trusting(trusted)
        async with httpx2.AsyncClient(verify=context, trust_env=False, base_url=f"https://localhost:{port}") as http:
            answer = (await http.post("/validate", json=document)).json()["response"]
            assert not answer["allowed"] and answer["status"]["message"].startswith("timeout: must be from 0 to")
            review["object"]["spec"] = GOOD_SPEC
            answer = (await http.post("/default", json=document)).json()["response"]
            assert answer["allowed"] and answer["patchType"] == "JSONPatch"
            assert (await http.post("/validate", content=b"{}")).status_code == 400
            assert (await http.post("/validate", content=bytes(9 << 20))).status_code == 413
            assert (await http.get("/validate")).status_code == 405


@alone
async def test_a_certificate_is_renewed_before_it_ends_without_a_restart_and_is_trusted_before_as_after() -> None:
    clock = Clock()
    async with cluster() as client, served(client, clock) as (keeper, port):
        trusted, first = await bundle(client), await asyncio.to_thread(peer, port, await bundle(client))
        clock.now += 61 * DAY  # two thirds of its life
        before = keeper._loaded

        async def loaded() -> bool:
            return keeper._loaded != before

        await until(loaded)
        second = await asyncio.to_thread(peer, port, trusted)
        assert second != first
        assert await bundle(client) == trusted


@alone
async def test_a_new_authority_is_trusted_beside_the_old_one_long_before_it_signs() -> None:
    clock = Clock()
    async with cluster() as client, served(client, clock) as (_, port):
        old = await bundle(client)
        clock.now += 366 * DAY  # half of the authority's life, four times the certificate's

        async def grown() -> bool:
            return await bundle(client) != old

        await until(grown)
        assert (await bundle(client)).startswith(old)
        await asyncio.to_thread(peer, port, old)  # still signed by the old one


@alone
async def test_two_controllers_share_one_set_whoever_is_first() -> None:
    async with cluster() as client:
        keepers = [Keeper(client, POST, Clock()) for _ in range(3)]
        for _ in range(2):
            await asyncio.gather(*(keeper.look() for keeper in keepers))
        secret = await client.get(SECRETS, "certificates", "system")
        assert len({keeper._loaded.certificate for keeper in keepers if keeper._loaded}) == 1
        assert base64.b64decode(secret["data"]["ca.crt"]).decode() == await bundle(client)


@alone
async def test_a_lost_secret_and_a_configuration_applied_anew_are_repaired() -> None:
    async with cluster() as client, served(client, Clock()) as (_, port):
        old = await bundle(client)
        await client.delete(SECRETS, "certificates", "system")

        async def healed() -> bool:
            with contextlib.suppress(NotFound):
                await client.get(SECRETS, "certificates", "system")
                return await bundle(client) != old
            return False

        await until(healed)
        await until(lambda: works(port, client))


async def works(port: int, client: Client) -> bool:
    try:
        await asyncio.to_thread(peer, port, await bundle(client))
    except ssl.SSLError:
        return False
    return True
