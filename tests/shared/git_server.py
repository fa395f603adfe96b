"""A real git server for tests: `git http-backend` behind an ASGI application, over bare repositories, with a password or none."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_WHO = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.com",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.com",
}


class Repository:
    """A bare repository, `functions.git`, that is committed to without a working tree of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self._bare, self._work = folder / "functions.git", folder / "work"
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self._bare), cwd=folder)
        self._git("clone", "--quiet", str(self._bare), str(self._work), cwd=folder)

    def commit(self, files: Mapping[str, bytes], tag: str = "") -> str:
        """Make these files so on `main`; returns the commit."""
        for name, content in files.items():
            path = self._work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "change")
        refs = ["HEAD:refs/heads/main"] + ([f"HEAD:refs/tags/{tag}"] if tag else [])
        self._git("push", "--quiet", "origin", *refs)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str, cwd: Path | None = None) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.root), "GIT_CONFIG_NOSYSTEM": "1", **_WHO}
        done = subprocess.run(["git", *arguments], cwd=cwd or self._work, env=env, check=True, capture_output=True, text=True)
        return done.stdout


class GitServer:
    """ASGI: serves the repositories below a folder by git's smart HTTP protocol (CGI, RFC 3875)."""

    def __init__(self, root: Path, password: str = "") -> None:
        self._root = root
        self._expected = f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}" if password else ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        fields = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        if self._expected and fields.get("authorization") != self._expected:
            await _answer(send, 401, [(b"www-authenticate", b'Basic realm="git"')], b"")
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await self._backend(scope, fields, body, send)

    async def _backend(self, scope: Any, fields: Mapping[str, str], body: bytes, send: Any) -> None:
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": scope["method"],
            "PATH_INFO": scope["path"],
            "QUERY_STRING": scope["query_string"].decode(),
            "CONTENT_TYPE": fields.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": fields.get("content-encoding", ""),
            "GIT_PROTOCOL": fields.get("git-protocol", ""),
        }
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", env=env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate(body)
        head, _, content = output.partition(b"\r\n\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))]
        status = next((int(value.split()[0]) for name, value in headers if name == b"status"), 200)
        await _answer(send, status, [each for each in headers if each[0] != b"status"], content)


async def _answer(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
