"""Functions are built from a repository in the cluster's network: pinned to a commit, with the credentials of their namespace."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from msgspec.structs import replace

from controller.model import Git
from kube.resource import SECRETS
from tests.cluster.shared.build_world import World, answer, example, run, serving
from tests.shared.git_server import GitServer, Repository

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning"),  # in the official package, from Python 3.12 on
]


def test_a_folder_of_a_repository_becomes_an_image_and_its_commit_is_told(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    commit = repository.commit({f"functions/hello/{name}": content for name, content in example("node-hello").items()})

    async def scenario(world: World) -> None:
        async with serving() as (url, mount):
            mount(GitServer(tmp_path, "right"))
            git = Git(url=f"{url}/functions.git", ref="main", path="functions/hello", secret="repository")
            function = replace(await world.function("from-git", "node", git=git), project=world.settings.namespace)
            denied = await world.build(function)
            assert (denied.reason, denied.may_pass) == ("GitDenied", False) and "no Secret repository" in denied.message
            content = {name: base64.b64encode(value).decode() for name, value in (("username", b"me"), ("password", b"right"))}
            await world.client.create(SECRETS, {"metadata": {"name": "repository"}, "data": content}, world.settings.namespace)
            result = await world.build(function)
            assert result.commit == commit and f"commit {commit}" in world.told
            assert "ello" in await answer(world, result.artifact)
            again = await world.build(function)
            assert (again.artifact, again.commit, again.cached) == (result.artifact, commit, True)
        gone = await world.build(function)
        assert (gone.reason, gone.may_pass) == ("GitUnavailable", True)

    run(scenario)
