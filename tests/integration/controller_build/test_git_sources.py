"""Sources out of a real git server: pinned to a commit, read as strictly as uploads, and each failure in its own words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from controller.archive import Limits
from controller.errors import BadSource
from controller.kube.build.git import GitFailed, environment, fetch
from controller.model import Git
from tests.shared.git_server import GitServer, Repository
from tests.shared.serving import serving

FILES = {"index.js": b"1", "functions/hello/handler.py": b"2", "functions/hello/lib/x.py": b"3"}


def run(folder: Path, scenario: Callable[[str], Awaitable[None]], password: str = "") -> None:
    async def whole() -> None:
        async with asyncio.timeout(60), serving(GitServer(folder, password)) as host:
            await scenario(f"http://{host}/functions.git")

    asyncio.run(whole())


def test_a_branch_a_tag_and_a_commit_are_pinned_and_a_folder_of_it_is_a_source(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    first = repository.commit(FILES, tag="v1")
    second = repository.commit({"index.js": b"changed"})

    async def scenario(url: str) -> None:
        for ref, commit in (("", second), ("main", second), ("v1", first), (first, first)):
            found = await fetch(Git(url=url, ref=ref), {}, Limits())
            assert (found.commit, found.tree["index.js"].content) == (commit, b"1" if commit == first else b"changed")
        part = await fetch(Git(url=url, ref="v1", path="functions/hello/"), {}, Limits())
        assert {name: file.content for name, file in part.tree.items()} == {"handler.py": b"2", "lib/x.py": b"3"}

    run(tmp_path, scenario)


def test_each_failure_says_what_is_wrong(tmp_path: Path) -> None:
    Repository(tmp_path).commit(FILES)

    async def scenario(url: str) -> None:
        async def reason(git: Git, limits: Limits | None = None) -> str:
            with pytest.raises(GitFailed) as caught:
                await fetch(git, {}, limits or Limits(), timeout=20)
            assert git.url in str(caught.value)
            return caught.value.reason

        assert await reason(Git(url=url, ref="nothing")) == "GitRefMissing"
        assert await reason(Git(url=url, ref="0" * 40)) == "GitRefMissing"
        assert await reason(Git(url=url, path="nothing")) == "GitPathMissing"
        assert await reason(Git(url=url.replace("functions", "other"))) == "GitRepositoryMissing"
        assert await reason(Git(url="http://127.0.0.1:9/x.git")) == "GitUnavailable"

    run(tmp_path, scenario)


def test_credentials_come_from_the_secret_and_are_asked_for_in_words(tmp_path: Path) -> None:
    Repository(tmp_path).commit(FILES)

    async def scenario(url: str) -> None:
        git = Git(url=url, secret="mine")
        found = await fetch(git, {"username": b"me", "password": b"right"}, Limits())
        assert "index.js" in found.tree
        for secret in ({}, {"username": b"me", "password": b"wrong"}, {"username": b"me"}):
            with pytest.raises(GitFailed, match=r"credentials|password") as caught:
                await fetch(git, secret, Limits())
            assert caught.value.reason == "GitDenied" and "wrong" not in str(caught.value)

    run(tmp_path, scenario, "right")


def test_what_is_too_large_or_leads_out_is_refused(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    (tmp_path / "work" / "link").symlink_to("/etc/passwd")
    repository.commit({"large": os.urandom(1 << 20)})

    async def scenario(url: str) -> None:
        with pytest.raises(BadSource, match="leads out"):
            await fetch(Git(url=url), {}, Limits())
        with pytest.raises((GitFailed, BadSource)) as caught:
            await fetch(Git(url=url), {}, Limits(total_bytes=100 << 10))
        assert "large" in str(caught.value)

    run(tmp_path, scenario)


def test_only_network_protocols_are_spoken_and_an_option_is_no_reference(tmp_path: Path) -> None:
    Repository(tmp_path).commit(FILES)

    async def scenario(url: str) -> None:
        for git in (Git(url=f"file://{tmp_path}/functions.git"), Git(url="ext::sh -c id"), Git(url=url, ref="--upload-pack=id")):
            with pytest.raises(GitFailed):
                await fetch(git, {"ssh-privatekey": b"k", "known_hosts": b"h"}, Limits())

    run(tmp_path, scenario)


def test_a_key_for_ssh_is_used_only_with_the_host_keys_to_expect(tmp_path: Path) -> None:
    git = Git(url="git@example.com:me/x.git", secret="mine")
    with pytest.raises(GitFailed, match="known_hosts"):
        environment(git, {"ssh-privatekey": b"key"}, tmp_path)
    env = environment(git, {"ssh-privatekey": b"key", "known_hosts": b"host"}, tmp_path)
    assert "StrictHostKeyChecking=yes" in env["GIT_SSH_COMMAND"]
    assert (tmp_path / "ssh-privatekey").stat().st_mode & 0o777 == 0o600
