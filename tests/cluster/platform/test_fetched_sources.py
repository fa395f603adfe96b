"""What the installed platform fetches by itself: commits of repositories, by http and by ssh, and packages for npm and pip."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tests.cluster.platform.deploying import deployer, source
from tests.cluster.platform.installed import HOST, NPM_PORT, PIP_PORT, Platform, apply, function, kubectl, may
from tests.cluster.shared.build_world import serving
from tests.cluster.shared.package_registries import npm_registry, pip_index
from tests.cluster.shared.router_on_a_cluster import MARKS, PATIENCE, Place, in_a_namespace, reached, stamp
from tests.shared.git_server import GitServer, Repository
from tests.shared.ssh_server import SSHD, ssh_server

pytestmark = MARKS

PACKAGES: dict[str, tuple[dict[str, str], str]] = {  # name -> files, runtime
    "npm": (
        {
            "package.json": json.dumps({"dependencies": {"shout": "1.0.0"}}),
            "index.js": "exports.handler = async () => require('shout')('hello from npm')\n",
        },
        "node",
    ),
    "pip": (
        {
            "requirements.txt": "shoutpy==1.0.0\n",
            "main.py": "import shoutpy\n\ndef handler(request):\n    return shoutpy.shout('hello from pip')\n",
        },
        "python",
    ),
}


@asynccontextmanager
async def packages() -> AsyncIterator[None]:
    """The registries that the release's settings name."""
    async with serving(NPM_PORT) as (_, npm), serving(PIP_PORT) as (_, pip):
        npm(npm_registry())
        pip(pip_index())
        yield


@asynccontextmanager
async def repositories(folder: Path, password: str) -> AsyncIterator[dict[str, tuple[str, dict[str, bytes]]]]:
    """Where `functions.git` is, and the content of the Secret that opens it: by http, and by ssh where there is an sshd."""
    async with serving() as (url, mount):
        mount(GitServer(folder, password))
        found = {"http": (f"{url}/functions.git", {"username": b"me", "password": password.encode()})}
        if not SSHD:
            print("no sshd here: a repository by ssh is left out")
            yield found
            return
        async with ssh_server(folder, HOST) as server:
            yield {**found, "ssh": (server.url(folder / "functions.git"), server.secret())}


@pytest.mark.slow
def test_a_repository_s_commit_and_sources_with_dependencies_become_functions(platform: Platform, tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    files = {f"functions/hello/{name}": text.encode() for name, text in source("examples/node-hello").items()}
    commit = repository.commit(files)

    async def scenario(place: Place) -> None:
        who = await asyncio.to_thread(deployer, platform, place.namespace)
        began = stamp()
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http, repositories(tmp_path, "right") as found:
            for name, (url, secret) in found.items():
                await asyncio.to_thread(keep, platform, place.namespace, name, secret)
                git = {"url": url, "ref": "main", "path": "functions/hello", "secret": name}
                spec = function(f"by-{name}", runtime="node", git=git, scaling={"idleGrace": 1})
                await asyncio.to_thread(apply, place.namespace, spec)
            for name, (content, runtime) in PACKAGES.items():
                await who.deploy(http, name, content, runtime=runtime, scaling={"idleGrace": 1})
            functions = [f"function/{name}" for name in PACKAGES]
            away = "--for=jsonpath={.status.build.failure.reason}=RegistryUnavailable"  # nobody serves packages yet
            await asyncio.to_thread(kubectl, "-n", place.namespace, "wait", away, *functions, f"--timeout={PATIENCE:.0f}s")
            async with packages():  # soon: the more often it has failed, the later it is tried again
                await asyncio.to_thread(who.ready, *PACKAGES, *(f"by-{name}" for name in found))
            print(f"{len(found) + len(PACKAGES)} functions from what is fetched to ready: {stamp() - began:.1f} s")
            for name in found:
                assert (await asyncio.to_thread(who.status, f"by-{name}"))["build"]["commit"] == commit
            words = {**{f"by-{name}": "ello" for name in found}, **{name: f"HELLO FROM {name.upper()}" for name in PACKAGES}}
            for name, word in words.items():
                await reached(platform.address(), f"/fn/{name}")
                await check(http, platform, name, word)
            for name, word in words.items():
                await place.asleep(f"{name}-00001")
                await check(http, platform, name, word)
            await asyncio.to_thread(who.delete_all)

    in_a_namespace(scenario)


def keep(platform: Platform, namespace: str, name: str, secret: dict[str, bytes]) -> None:
    """A Secret that the controller may read, and no other one, as docs/builds.md has it."""
    literals = [f"--from-literal={key}={value.decode()}" for key, value in secret.items()]
    kubectl("-n", namespace, "create", "secret", "generic", name, *literals)
    kubectl("-n", namespace, "create", "role", f"git-{name}", "--verb=get", "--resource=secrets", f"--resource-name={name}")
    account = f"--serviceaccount={platform.namespace}:{platform.release}-controller"
    kubectl("-n", namespace, "create", "rolebinding", f"git-{name}", f"--role=git-{name}", account)
    may(f"{platform.namespace}:{platform.release}-controller", "get", f"secrets/{name}", "-n", namespace)


async def check(http: httpx2.AsyncClient, platform: Platform, name: str, word: str) -> None:
    answer = await http.get(platform.url(f"/fn/{name}"))
    assert answer.status_code == 200 and word in answer.text, answer.text
    if cost := answer.headers.get("server-timing"):
        print(f"cold start of {name}: {cost}")
