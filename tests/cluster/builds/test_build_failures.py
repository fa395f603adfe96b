"""Each way in which a build fails on a cluster is told from the others in words; its pod is gone, another try is possible."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from controller.ports import BuildResult
from kube.resource import SECRETS
from tests.cluster.shared.build_world import HOST, World, run, serving, with_settings
from tests.cluster.shared.package_registries import npm_registry

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning"),  # in the official package, from Python 3.12 on
]

NOBODY = f"{HOST}:9"  # where nothing listens
HANDLER = b"exports.handler = async () => 'hello'\n"


def node(**package: Any) -> dict[str, bytes]:
    return {"index.js": HANDLER, "package.json": json.dumps(package).encode()}


def dockerfile(*lines: str) -> dict[str, bytes]:
    return {"Dockerfile": "\n".join(lines).encode() + b"\n", "index.js": HANDLER}


async def failure(world: World, name: str, runtime: str, files: dict[str, bytes]) -> BuildResult:
    """What became of a build that must fail."""
    result = await world.build(await world.function(name, runtime, files))
    assert not result.artifact and result.reason and result.message
    return result


def test_what_is_wrong_with_the_source_is_told_and_not_tried_again() -> None:
    async def scenario(world: World) -> None:
        async with serving() as (npm, mount), with_settings(world.client, replace(world.settings, npm_registry=npm)) as there:
            mount(npm_registry())
            syntax, unknown = await asyncio.gather(
                failure(there, "syntax", "node", {"index.js": HANDLER, "package.json": b'{"dependencies": {'}),
                failure(there, "unknown", "node", node(dependencies={"no-such-package": "1.0.0"})),
            )
        assert syntax.reason == "SyntaxError" and "package.json is not valid JSON" in syntax.message
        assert unknown.reason == "DependencyFailed" and "npm install failed: there is no npm package no-such" in unknown.message
        assert not syntax.may_pass and not unknown.may_pass
        assert await world.tidy()

    run(scenario)


def test_what_is_wrong_with_a_dockerfile_is_told() -> None:
    async def scenario(world: World) -> None:
        own, missing, step, base = await asyncio.gather(
            failure(world, "own", "dockerfile", dockerfile("FROM node:22-alpine", "RUNN true")),
            failure(world, "missing", "dockerfile", dockerfile("FROM node:22-alpine", "COPY nothing.txt /")),
            failure(world, "step", "dockerfile", dockerfile("FROM node:22-alpine", "RUN echo it is broken; exit 3")),
            failure(world, "base", "dockerfile", dockerfile("FROM no/such:image", "RUN true")),
        )
        assert own.reason == "BadDockerfile" and "RUNN" in own.message
        assert missing.reason == "BadDockerfile" and "nothing.txt" in missing.message
        assert step.reason == "StepFailed" and "status 3" in step.message and "it is broken" in step.message
        assert base.reason == "BaseImageMissing" and "no/such" in base.message
        assert not any(each.may_pass for each in (own, missing, step, base))
        none = await failure(world, "none", "dockerfile", {"index.js": HANDLER})
        assert none.reason == "BadDockerfile" and "no Dockerfile" in none.message
        assert await world.tidy()

    run(scenario)


def test_package_registries_that_are_away_or_refuse_are_told_apart_and_their_credentials_leave_no_trace() -> None:
    async def scenario(world: World) -> None:
        needs, settings = node(dependencies={"shout": "1.0.0"}), world.settings
        async with serving() as (npm, mount):
            mount(npm_registry("right"))
            await packages(world, f"//{npm.removeprefix('http://')}/:_authToken=wrong\n")
            async with (
                with_settings(world.client, replace(settings, npm_registry=f"http://{NOBODY}/")) as nobody,
                with_settings(world.client, replace(settings, npm_registry=npm, packages_secret="packages")) as closed,
            ):
                away, denied = await asyncio.gather(
                    failure(nobody, "away", "node", needs), failure(closed, "denied", "node", needs)
                )
        assert (away.reason, away.may_pass) == ("RegistryUnavailable", True)
        assert (denied.reason, denied.may_pass) == ("RegistryDenied", False)
        assert not any("wrong" in line for line in (*closed.told, denied.message))
        assert await world.tidy()

    run(scenario)


async def packages(world: World, npmrc: str) -> None:
    """The operator's Secret for package registries."""
    content = {"npmrc": base64.b64encode(npmrc.encode()).decode()}
    await world.client.create(SECRETS, {"metadata": {"name": "packages"}, "data": content}, world.settings.namespace)


def test_image_registries_that_are_away_or_refuse_are_told_apart() -> None:
    async def scenario(world: World) -> None:
        async with serving() as (url, mount):
            mount(_closed)
            host = url.removeprefix("http://")
            async with (
                with_settings(world.client, replace(world.settings, registry=f"{NOBODY}/x", pull_registry="")) as nobody,
                with_settings(world.client, replace(world.settings, registry=f"{host}/x", pull_registry="")) as closed,
            ):
                away, denied = await asyncio.gather(
                    failure(nobody, "images-away", "node", {"index.js": HANDLER}),
                    failure(closed, "images-denied", "node", {"index.js": HANDLER}),
                )
        assert (away.reason, away.may_pass) == ("ImageRegistryUnavailable", True)
        assert (denied.reason, denied.may_pass) == ("ImageRegistryDenied", False)
        assert await world.tidy()

    run(scenario)


async def _closed(scope: Any, receive: Any, send: Any) -> None:
    """A registry that lets nobody in."""
    refusal = Response(
        '{"errors":[{"code":"UNAUTHORIZED"}]}', 401, {"WWW-Authenticate": 'Basic realm="closed"'}, "application/json"
    )
    await refusal(Request(scope).scope, receive, send)


def test_a_build_that_takes_too_long_or_too_much_is_ended() -> None:
    async def scenario(world: World) -> None:
        grow = 'RUN node -e "const a = []; for (;;) a.push(Buffer.alloc(64 << 20, 1))"'
        async with (
            with_settings(world.client, replace(world.settings, deadline=15)) as short,
            with_settings(world.client, replace(world.settings, memory_request="64Mi", memory_limit="320Mi")) as narrow,
        ):
            slow, large = await asyncio.gather(
                failure(short, "slow", "dockerfile", dockerfile("FROM node:22-alpine", "RUN sleep 300")),
                failure(narrow, "large", "dockerfile", dockerfile("FROM node:22-alpine", grow)),
            )
        assert slow.reason == "Timeout" and "15 s" in slow.message and slow.may_pass
        assert large.reason == "OutOfMemory" and not large.may_pass
        assert await world.tidy()

    run(scenario)
