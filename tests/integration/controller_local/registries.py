"""Small package registries on loopback: one package `tiny` for npm and one for pip, everything else unknown."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def npm_tarball() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        files = {"package.json": '{"name": "tiny", "version": "1.0.0"}', "index.js": "module.exports = 'tiny of npm'"}
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tiny.py", "WORD = 'tiny of pip'\n")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return buffer.getvalue()


NPM, WHEEL = npm_tarball(), wheel()
INTEGRITY = "sha512-" + base64.b64encode(hashlib.sha512(NPM).digest()).decode()


def packument(url: str) -> dict[str, object]:
    version = {"name": "tiny", "version": "1.0.0", "dist": {"tarball": f"{url}/tiny.tgz", "integrity": INTEGRITY}}
    return {"name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}


def lock(url: str) -> str:
    """The package-lock.json of a package that depends on tiny."""
    tiny = {"version": "1.0.0", "resolved": f"{url}/tiny.tgz", "integrity": INTEGRITY}
    root = {"name": "app", "version": "1.0.0", "dependencies": {"tiny": "^1.0.0"}}
    return json.dumps(
        {"name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": root, "node_modules/tiny": tiny}}
    )


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = f"http://{self.headers['Host']}"
        answers = {
            "/tiny": json.dumps(packument(url)).encode(),
            "/tiny.tgz": NPM,
            "/simple/tiny/": b'<a href="/tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>',
            "/tiny-1.0-py3-none-any.whl": WHEEL,
        }
        content = answers.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Type", "text/html" if self.path.startswith("/simple") else "application/json")
        self.send_header("Content-Length", str(len(content or b"{}")))
        self.end_headers()
        self.wfile.write(content or b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def registry() -> Iterator[str]:
    """The address of a running registry."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
