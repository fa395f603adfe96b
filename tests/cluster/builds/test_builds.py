"""Functions are built on a real cluster: what their images do, what is never built twice, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from dataclasses import replace

import pytest

from controller.kube.build.sources import SECRET_BYTES
from kube.resource import SECRETS
from tests.cluster.shared.build_world import World, answer, example, run, serving, with_settings
from tests.cluster.shared.package_registries import npm_registry, pip_index
from tests.shared.oci_registry import PASSWORD, USER, MemoryRegistry

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning"),  # in the official package, from Python 3.12 on
]

OWN = b"""FROM node:22-alpine AS made
WORKDIR /made
RUN echo "made by its own Dockerfile" > words
FROM node:22-alpine
COPY --from=made /made/words /words
COPY server.js /
USER 1000
CMD ["node", "/server.js"]
"""
SERVER = b"require('http').createServer((q, r) => r.end(require('fs').readFileSync('/words'))).listen(process.env.PORT || 8080)\n"


NPM_HANDLER = b"""const there = require('fs').existsSync('/usr/local/etc/npmrc') || require('fs').existsSync('/root/.npmrc')
exports.handler = async () => require('shout')('hello') + there
"""


@pytest.mark.parametrize(("name", "runtime"), [("node-hello", "node"), ("python-hello", "python")])
def test_an_example_becomes_an_image_that_answers_and_nothing_is_left_of_its_build(name: str, runtime: str) -> None:
    async def scenario(world: World) -> None:
        result = await world.build(await world.function(name, runtime, example(name)))
        assert result.artifact.startswith(f"{world.settings.pulled_from}/default-{name}@sha256:")
        assert await world.tidy()
        assert "ello" in await answer(world, result.artifact)

    run(scenario)


def test_a_source_with_its_own_dockerfile_is_built_by_that() -> None:
    async def scenario(world: World) -> None:
        files = {"Dockerfile": OWN, "server.js": SERVER, ".dockerignore": b"secret.txt\n", "secret.txt": b"x"}
        result = await world.build(await world.function("own", "dockerfile", files))
        assert await answer(world, result.artifact) == "made by its own Dockerfile\n"

    run(scenario)


def test_dependencies_come_from_the_operators_registries_whose_credentials_stay_out_of_the_image() -> None:
    node = {
        "package.json": json.dumps({"dependencies": {"shout": "1.0.0"}}).encode(),
        "index.js": NPM_HANDLER,
    }
    python = {
        "requirements.txt": b"shoutpy==1.0.0\n",
        "main.py": b"import shoutpy\n\ndef handler(request):\n    return shoutpy.shout('hello')\n",
    }

    async def scenario(world: World) -> None:
        async with serving() as (npm, mount_npm), serving() as (pip, mount_pip):
            mount_npm(npm_registry("right"))
            mount_pip(pip_index())
            npmrc = f"//{npm.removeprefix('http://')}/:_authToken=right\n"
            content = {"npmrc": base64.b64encode(npmrc.encode()).decode()}
            await world.client.create(SECRETS, {"metadata": {"name": "packages"}, "data": content}, world.settings.namespace)
            settings = replace(world.settings, npm_registry=npm, pip_index=f"{pip}/simple/", packages_secret="packages")
            async with with_settings(world.client, settings) as there:
                first, second = await asyncio.gather(
                    there.build(await there.function("deps-node", "node", node)),
                    there.build(await there.function("deps-python", "python", python)),
                )
                changed = node | {"index.js": node["index.js"] + b"// another comment\n"}
                again = await there.build(await there.function("deps-node", "node", changed))
        assert "from the cache: npm install" in there.told
        print(f"  first build {first.seconds:.1f} s (beside another), rebuild with only user code changed {again.seconds:.1f} s")
        assert await answer(world, again.artifact) == "HELLOfalse"
        assert await answer(world, second.artifact) == "HELLO"

    run(scenario)


def test_the_same_source_is_built_once_whoever_asks_and_whenever() -> None:
    async def scenario(world: World) -> None:
        files = {"index.js": b"exports.handler = async () => 'once'\n"}
        one, other = await world.function("one", "node", files), await world.function("other", "node", files)
        first, joined = await asyncio.gather(world.build(one), world.build(other))
        assert first.artifact and first.artifact == joined.artifact
        async with with_settings(world.client, world.settings) as restarted:
            again = await restarted.build(other)
        assert (again.artifact, again.cached) == (first.artifact, True)
        repository, digest = first.artifact.partition("/")[2].split("@")
        assert await world.registry.delete(repository, digest)
        rebuilt = await world.build(one)
        assert rebuilt.artifact and not rebuilt.cached, "the registry had lost the image"

    run(scenario)


@pytest.mark.parametrize("size", [SECRET_BYTES - (64 << 10), 40 << 20])
def test_a_source_is_kept_in_a_secret_or_in_the_registry_by_its_size_and_reaches_the_build(size: int) -> None:
    async def scenario(world: World) -> None:
        noise = os.urandom(size)
        files = {
            "index.js": b"const n = require('fs').statSync('noise').size\nexports.handler = async () => `${n}`\n",
            "noise": noise,
        }
        began = time.monotonic()
        function = await world.function("sized", "node", files)
        print(f"  {size >> 10} KiB of source kept in {time.monotonic() - began:.1f} s")
        stored = await world.sources.find(function.spec.source)
        assert stored and bool(stored.manifest) == (size > SECRET_BYTES)
        result = await world.build(function)
        assert await answer(world, result.artifact) == f"{size}"
        assert await world.sources.prune({function.spec.source}) == 0
        await world.grow_old()
        assert await world.sources.prune(()) == 1
        assert not await world.sources.has(function.spec.source)

    run(scenario)


def test_images_and_large_sources_go_to_a_registry_that_asks_for_a_password() -> None:
    async def scenario(world: World) -> None:
        images = MemoryRegistry("basic")
        async with serving() as (url, mount):
            mount(images)
            host = url.removeprefix("http://")
            config = json.dumps({"auths": {host: {"username": USER, "password": PASSWORD}}}).encode()
            secret = {"metadata": {"name": "push"}, "type": "kubernetes.io/dockerconfigjson"}
            content = {".dockerconfigjson": base64.b64encode(config).decode()}
            await world.client.create(SECRETS, {**secret, "data": content}, world.settings.namespace)
            settings = replace(world.settings, registry=f"{host}/x", pull_registry="", registry_secret="push", handover="")
            async with with_settings(world.client, settings) as there:
                there.sources._in_secret = 0  # everything is large
                files = {"Dockerfile": b"FROM scratch\nCOPY Dockerfile /\n"}
                result = await there.build(await there.function("closed", "dockerfile", files))
        repository, digest = result.artifact.removeprefix(f"{host}/").split("@")
        assert (repository, digest) in images.manifests
        assert any(name == "x/cloudbase.sources" for name, _ in images.manifests)

    run(scenario)
