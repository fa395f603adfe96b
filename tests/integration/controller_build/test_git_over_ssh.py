"""Sources out of a repository behind a real sshd: by a Secret's key and host key, and each refusal in its own words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.archive import Limits
from controller.kube.build import git as sources
from controller.kube.build.git import GitFailed, fetch
from controller.model import Git
from tests.shared.git_server import Repository
from tests.shared.ssh_server import SSHD, SshServer, new_key, ssh_server

pytestmark = pytest.mark.skipif(not SSHD, reason="no sshd here: Debian has it in openssh-server")

FILES = {"index.js": b"1", "functions/hello/handler.py": b"2"}


def run(folder: Path, scenario: Callable[[SshServer], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60), ssh_server(folder) as server:
            await scenario(server)

    asyncio.run(whole())


def test_a_branch_and_a_folder_at_a_commit_are_fetched_by_a_key(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    first = repository.commit(FILES)
    second = repository.commit({"index.js": b"changed"})

    async def scenario(server: SshServer) -> None:
        url, secret = server.url(tmp_path / "functions.git"), server.secret()
        found = await fetch(Git(url=url, ref="main", secret="mine"), secret, Limits())
        assert (found.commit, found.tree["index.js"].content) == (second, b"changed")
        part = await fetch(Git(url=url, ref=first, path="functions/hello", secret="mine"), secret, Limits())
        assert (part.commit, {name: file.content for name, file in part.tree.items()}) == (first, {"handler.py": b"2"})

    run(tmp_path, scenario)


def test_a_wrong_key_another_host_s_key_no_repository_and_no_server_are_told_apart(tmp_path: Path) -> None:
    Repository(tmp_path).commit(FILES)
    stranger = new_key(tmp_path / "stranger").read_bytes()

    async def scenario(server: SshServer) -> None:
        path, secret = tmp_path / "functions.git", server.secret()
        other = {**secret, "known_hosts": secret["known_hosts"].split()[0] + b" " + (tmp_path / "stranger.pub").read_bytes()}
        away = replace(server, port=9)

        async def reason(url: str, secret: dict[str, bytes], words: str) -> str:
            with pytest.raises(GitFailed, match=words) as caught:
                await fetch(Git(url=url, secret="mine"), secret, Limits(), timeout=20)
            assert url in str(caught.value) and "PRIVATE" not in str(caught.value)
            return caught.value.reason

        assert await reason(server.url(path), {**secret, "ssh-privatekey": stranger}, "Permission denied") == "GitDenied"
        assert await reason(server.url(path), other, "host's key is not in known_hosts") == "GitDenied"
        assert await reason(server.url(tmp_path / "no.git"), secret, "no such repository") == "GitRepositoryMissing"
        assert await reason(away.url(path), away.secret(), "Connection refused") == "GitUnavailable"

    run(tmp_path, scenario)


def test_a_controller_s_image_without_ssh_is_the_operator_s_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").symlink_to("/usr/bin/git")
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setattr(sources, "PATH", str(tmp_path))
    with pytest.raises(GitFailed, match="no ssh program beside the controller") as caught:
        asyncio.run(fetch(Git(url="git@127.0.0.1:me/x.git"), {"ssh-privatekey": b"k", "known_hosts": b"h"}, Limits()))
    assert caught.value.reason == "GitMissing"
