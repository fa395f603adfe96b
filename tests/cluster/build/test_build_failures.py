"""Each way in which a build fails on a cluster is told from the others in words; its pod is gone, another try is possible."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from build_world import HOST, World, run, serving, with_settings
from package_registries import npm_registry
from starlette.requests import Request
from starlette.responses import Response

from controller.kube.build.settings import Share
from controller.ports import BuildResult
from kube.resource import SECRETS

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning"),  # in the official package, from Python 3.12 on
]

NOBODY = f"{HOST}:9"  # where nothing listens
HANDLER = b"exports.handler = async () => 'hello'\n"


def node(**package: Any) -> dict[str, bytes]:
    return {"index.js": HANDLER, "package.json": json.dumps(package).encode()}


def dockerfile(*lines: str) -> dict[str, bytes]:
    return {"Dockerfile": "\n".join(lines).encode() + b"\n", "index.js": HANDLER}


async def failure(world: World, name: str, runtime: str, files: dict[str, bytes]) -> BuildResult:
    """What became of a build that must fail; nothing of it is left."""
    result = await world.build(await world.function(name, runtime, files))
    assert not result.artifact and result.reason and result.message
    assert await world.tidy()
    return result


def test_what_is_wrong_with_the_source_is_told_and_not_tried_again() -> None:
    async def scenario(world: World) -> None:
        async with serving() as (npm, mount), with_settings(world.client, replace(world.settings, npm_registry=npm)) as there:
            mount(npm_registry())
            syntax = await failure(there, "syntax", "node", {"index.js": HANDLER, "package.json": b'{"dependencies": {'})
            assert syntax.reason == "SyntaxError" and "package.json is not valid JSON" in syntax.message
            unknown = await failure(there, "unknown", "node", node(dependencies={"no-such-package": "1.0.0"}))
            assert unknown.reason == "DependencyFailed" and "no-such-package" in unknown.message
            assert "npm install failed" in unknown.message
        own = await failure(world, "own", "dockerfile", dockerfile("FROM node:22-alpine", "RUNN true"))
        assert own.reason == "BadDockerfile" and "RUNN" in own.message
        missing = await failure(world, "missing", "dockerfile", dockerfile("FROM node:22-alpine", "COPY nothing.txt /"))
        assert missing.reason == "BadDockerfile" and "nothing.txt" in missing.message
        step = await failure(world, "step", "dockerfile", dockerfile("FROM node:22-alpine", "RUN echo it is broken; exit 3"))
        assert step.reason == "StepFailed" and "status 3" in step.message and "it is broken" in step.message
        base = await failure(world, "base", "dockerfile", dockerfile("FROM no/such:image", "RUN true"))
        assert base.reason == "BaseImageMissing" and "no/such" in base.message
        assert not any(each.may_pass for each in (syntax, unknown, own, missing, step, base))

    run(scenario)


def test_registries_that_are_away_or_refuse_are_told_apart() -> None:
    async def scenario(world: World) -> None:
        needs = node(dependencies={"shout": "1.0.0"})
        settings = world.settings
        async with with_settings(world.client, replace(settings, npm_registry=f"http://{NOBODY}/")) as there:
            away = await failure(there, "away", "node", needs)
        async with serving() as (npm, mount):
            mount(npm_registry("right"))
            host = npm.removeprefix("http://")
            content = {"npmrc": base64.b64encode(f"//{host}/:_authToken=wrong\n".encode()).decode()}
            await world.client.create(SECRETS, {"metadata": {"name": "packages"}, "data": content}, settings.namespace)
            async with with_settings(world.client, replace(settings, npm_registry=npm, packages_secret="packages")) as there:
                denied = await failure(there, "denied", "node", needs)
        async with with_settings(world.client, replace(settings, registry=f"{NOBODY}/x", pull_registry="")) as there:
            images_away = await failure(there, "images-away", "node", {"index.js": HANDLER})
        async with serving() as (url, mount):
            mount(_closed)
            there_settings = replace(settings, registry=f"{url.removeprefix('http://')}/x", pull_registry="")
            async with with_settings(world.client, there_settings) as there:
                images_denied = await failure(there, "images-denied", "node", {"index.js": HANDLER})
        told = {each.reason: each.may_pass for each in (away, denied, images_away, images_denied)}
        assert told == {
            "RegistryUnavailable": True,
            "RegistryDenied": False,
            "ImageRegistryUnavailable": True,
            "ImageRegistryDenied": False,
        }

    run(scenario)


async def _closed(scope: Any, receive: Any, send: Any) -> None:
    """A registry that lets nobody in."""
    refusal = Response(
        '{"errors":[{"code":"UNAUTHORIZED"}]}', 401, {"WWW-Authenticate": 'Basic realm="closed"'}, "application/json"
    )
    await refusal(Request(scope).scope, receive, send)


def test_a_build_that_takes_too_long_or_too_much_is_ended() -> None:
    async def scenario(world: World) -> None:
        files = dockerfile("FROM node:22-alpine", "RUN sleep 300")
        async with with_settings(world.client, replace(world.settings, deadline=12)) as there:
            slow = await failure(there, "slow", "dockerfile", files)
        assert slow.reason == "Timeout" and "RUN sleep 300" in slow.message and slow.may_pass
        grow = 'RUN node -e "const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1))"'
        small = Share(memory_request="64Mi", memory_limit="200Mi")
        async with with_settings(world.client, replace(world.settings, share=small)) as there:
            large = await failure(there, "large", "dockerfile", dockerfile("FROM node:22-alpine", grow))
        assert large.reason == "OutOfMemory" and not large.may_pass

    run(scenario)
