"""Fetches a source from a git repository, pinned to its commit, by the `git` program; the executor never sees the repository.

One commit, without history, tags, submodules or hooks; what comes is read as strictly as an archive that somebody sends. The
program gets an environment of its own: no user's settings, no prompt, and credentials where `ps` does not show them.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from controller import archive, tarball
from controller.model import Git

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
PROTOCOLS: Final = "http:https:ssh"  # not file:, ext: or git:, which read this machine or run programs
_BLOCK = 512  # bytes, of `ulimit -f`
_LIMITED = 'ulimit -f "$0"; exec "$@"'

# (what git wrote, reason, sentence); the first that matches counts.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (r"died of signal 25|File size limit|File too large", "SourceTooLarge", "the repository is too large"),
    (
        r"ssh: (command )?not found|cannot run ssh",
        "GitMissing",
        "there is no ssh program beside the controller: install it in its image",
    ),
    (r"No user exists for uid", "GitMissing", "ssh wants the user that the controller runs as in its image's /etc/passwd"),
    (r"Host key verification failed", "GitDenied", "the host's key is not in known_hosts of the Secret"),
    (
        r"could not read (Username|Password)|Authentication failed|Permission denied|returned error: 40[13]|access denied",
        "GitDenied",
        "the repository wants (other) credentials, or does not exist: name a Secret in git.secret",
    ),
    (
        r"unadvertised object",
        "GitRefMissing",
        "the server hands out branches and tags only, without git's protocol 2",
    ),
    (
        r"couldn't find remote ref|not our ref|no such remote ref",
        "GitRefMissing",
        "there is no such branch, tag or whole commit",
    ),
    (r"redirect", "GitDenied", "the repository has moved, and credentials are not sent on: name its new address"),
    (
        r"not found|returned error: 404|does not appear to be a git repo|does not exist",
        "GitRepositoryMissing",
        "there is no such repository",
    ),
    (
        r"Could not|unable to|Failed to connect|timed out|refused|early EOF|unexpected disconnect",
        "GitUnavailable",
        "the git server could not be reached",
    ),
)
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), reason, words) for pattern, reason, words in _CAUSES)


class GitFailed(Exception):
    """There is no source: `reason` for programs, the text for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Checkout:
    """What a reference meant when it was asked for."""

    commit: str  # 40 hex digits
    tree: archive.Tree


async def fetch(
    git: Git, secret: Mapping[str, bytes], limits: archive.Limits, *, timeout: float = 120.0, env: Mapping[str, str] | None = None
) -> Checkout:
    """The tree of one commit. Raises GitFailed and BadSource. `env` has proxies and the like; `timeout` in seconds."""
    with tempfile.TemporaryDirectory(prefix="cloudbase-git-") as name:
        program = _Program(git, Path(name), limits, {**environment(git, secret, Path(name)), **(env or {})})
        try:
            async with asyncio.timeout(timeout):
                return await _checkout(git, program, limits)
        except TimeoutError:
            raise GitFailed("GitUnavailable", f"{git.url} was not fetched within {timeout:g} s") from None
        except FileNotFoundError:
            raise GitFailed("GitMissing", "there is no git program beside the controller: install it in its image") from None


async def _checkout(git: Git, program: _Program, limits: archive.Limits) -> Checkout:
    await program.run("init", "--quiet", "--bare", ".")
    await program.run(
        "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--end-of-options", git.url, git.ref or "HEAD"
    )
    commit = (await program.run("rev-parse", "--verify", "FETCH_HEAD^{commit}")).decode().strip()
    await program.archive(commit, git.path.strip("/"))
    packed = await asyncio.to_thread(lambda: gzip.compress((program.folder / "source.tar").read_bytes(), 1, mtime=0))
    return Checkout(commit, await asyncio.to_thread(tarball.read, packed, limits))


class _Program:
    """`git` in a folder."""

    def __init__(self, git: Git, folder: Path, limits: archive.Limits, env: Mapping[str, str]) -> None:
        self.folder = folder
        self._git, self._env = git, env
        self._blocks = str(2 * limits.total_bytes // _BLOCK)

    async def archive(self, commit: str, path: str) -> None:
        try:
            await self.run("archive", "--format=tar", "--output=source.tar", f"{commit}:{path}" if path else commit)
        except GitFailed as error:
            if path and error.reason == "GitFailed":
                raise GitFailed("GitPathMissing", f'{self._git.url} has no folder "{path}" at {commit[:12]}') from error
            raise

    async def run(self, *arguments: str) -> bytes:
        """What it writes to stdout. Raises GitFailed when it fails; ends it when cancelled."""
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", _LIMITED, self._blocks, "git", *arguments),
            cwd=self.folder,
            env=dict(self._env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # so that what it starts can be ended with it
        )
        try:
            output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, 9)
                await process.wait()
        if process.returncode == 127:
            raise FileNotFoundError("git")
        if process.returncode:
            raise explain(self._git, errors.decode("utf-8", "replace").splitlines())
        return output


def explain(git: Git, lines: Sequence[str]) -> GitFailed:
    """The failure in words, from what the program wrote."""
    what = f"{git.url} at {git.ref}" if git.ref else git.url
    for pattern, reason, words in _COMPILED:
        if found := next((line for line in lines if pattern.search(line)), ""):
            return GitFailed(reason, f"{what} could not be fetched: {words} ({found.strip().removeprefix('fatal: ')})")
    last = next((line for line in reversed(lines) if line.strip()), "it wrote nothing").removeprefix("fatal: ")
    return GitFailed("GitFailed", f"{what} could not be fetched: {last}")


def environment(git: Git, secret: Mapping[str, bytes], folder: Path) -> dict[str, str]:
    """What git runs with; an ssh key is written below `folder`. Raises GitFailed when the Secret does not fit the URL."""
    env = {
        "PATH": PATH,
        "HOME": str(folder),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
    }
    if git.url.startswith(("http://", "https://")):
        return env | _by_password(git, secret)
    return env | _by_key(secret, folder)


def _by_password(git: Git, secret: Mapping[str, bytes]) -> dict[str, str]:
    if not secret:
        return {}
    if not secret.get("password"):
        raise GitFailed("GitDenied", f'the Secret {git.secret} has no "password" in it, which {git.url} needs')
    pair = (secret.get("username") or b"git") + b":" + secret["password"]
    parts = urlsplit(git.url)
    settings = {
        f"http.{parts.scheme}://{parts.netloc}/.extraHeader": f"Authorization: Basic {base64.b64encode(pair).decode()}",
        "http.followRedirects": "false",  # the header would be sent on
    }
    env = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return env


def _by_key(secret: Mapping[str, bytes], folder: Path) -> dict[str, str]:
    for name in ("ssh-privatekey", "known_hosts"):
        if not secret.get(name):
            raise GitFailed("GitDenied", f'ssh needs a Secret, named in git.secret, with "{name}" in it')
        path = folder / name
        path.touch(0o600)
        path.write_bytes(secret[name])
    options = "-o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    return {"GIT_SSH_COMMAND": f"ssh -F none -i {folder}/ssh-privatekey -o UserKnownHostsFile={folder}/known_hosts {options}"}
