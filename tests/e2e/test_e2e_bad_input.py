"""Whatever makes no sense gets a clear message and exit code or problem+json, and leaves nothing half-made behind."""

from __future__ import annotations

import gzip
import io
import json
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from loadtest.local import CLOUDBASE, Platform, environment
from tests.e2e.functions_for_tests import write

HANDLER = {"main.py": "def handler(request):\n    return 'hello'\n"}
SPEC = quote(json.dumps({"runtime": "python"}))


@pytest.fixture(autouse=True)
def _nothing_half_made(running: Platform) -> Iterator[None]:
    """Afterwards no process runs, no half of an archive or of a build lies around, and nothing was written outside."""
    yield
    running.until("no process is left", lambda: running.children() == [])
    left = [path for path in (*running.data.glob("sources/*"), *running.data.glob("builds/*")) if _half_made(path)]
    assert left == []
    assert sorted(path.name for path in running.folder.iterdir() if path.name not in ("data", "platform.log", "work")) == []


def _half_made(path: Path) -> bool:
    return path.suffix in (".new", ".part", ".tmp") or path.name.startswith((".", "tmp"))


def deploy(running: Platform, files: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    folder = write(running.folder / "work" / f"{abs(hash((str(files), options)))}", files)
    return running.cli("deploy", str(folder), *options, ok=False)


def ask(running: Platform, head: bytes) -> bytes:
    with socket.create_connection(running.listen, timeout=10) as sock:
        sock.sendall(head)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
        return answer


def archive(*members: tarfile.TarInfo) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for member in (member_of("main.py", b"def handler(request): pass"), *members):
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return gzip.compress(raw.getvalue())


def member_of(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    member.size = len(content) if kind == tarfile.REGTYPE else 0
    return member


def problem(body: bytes) -> dict[str, str]:
    document: dict[str, str] = json.loads(body)
    return document


# through the router


def test_an_unknown_function_is_404_and_exit_code_5(running: Platform) -> None:
    answer = running.call("nobody")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert "nobody" in problem(answer.body)["detail"]  # type: ignore[attr-defined]
    done = running.cli("invoke", "nobody", ok=False)
    assert done.returncode == 5
    assert "`cloudbase list` shows what there is" in done.stderr


MALFORMED = [
    b"GET\r\n\r\n",
    b"GET /fn/x HTTP/1.1\r\n\r\n",
    b"GET /fn/x HTTP/1.1\nHost: a\n\n",
    b"\x00\x01\x02\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
]


@pytest.mark.parametrize("head", MALFORMED)
def test_a_malformed_request_is_refused(running: Platform, head: bytes) -> None:
    answer = ask(running, head)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 505 ")), answer
    assert b"\r\ncontent-type: application/problem+json\r\n" in answer.lower()


def test_an_oversized_head_is_431(running: Platform) -> None:
    answer = ask(running, b"GET /fn/x HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200_000)
    assert answer.startswith(b"HTTP/1.1 431 "), answer


# through the management API


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no archive", "gzip"),
        (gzip.compress(b"no tar"), "tar"),
        (archive()[:-20], ""),
        (archive(member_of("../outside.txt")), "../outside.txt"),
        (archive(member_of("/tmp/outside.txt")), "/tmp/outside.txt"),
        (archive(member_of("link", kind=tarfile.SYMTYPE, link="../../token")), "link"),
        (archive(member_of("link", kind=tarfile.SYMTYPE, link="/etc/passwd")), "link"),
        (archive(member_of("hard", kind=tarfile.LNKTYPE, link="../../token")), "hard"),
        (archive(member_of("device", kind=tarfile.CHRTYPE)), "device"),
        (archive(member_of("bomb", bytes(300 << 20))), ""),
        (archive(*(member_of(f"{at}") for at in range(20_000))), ""),
    ],
    ids=["garbage", "no-tar", "truncated", "up", "absolute", "link-up", "link-absolute", "hard-link", "device", "bomb", "many"],
)
def test_a_bad_archive_is_refused_with_a_problem_and_no_function_is_made(running: Platform, content: bytes, said: str) -> None:
    status, body = running.api("PUT", "/functions/bad", content, Content_Type="application/gzip", Cloudbase_Spec=SPEC)
    assert status in (400, 413, 422), body
    assert said in problem(body)["detail"], body
    assert running.view("bad") == {}


def test_without_or_with_a_wrong_token_it_is_401_and_exit_code_4(running: Platform) -> None:
    assert running.api("GET", "/functions", Authorization="Bearer wrong")[0] == 401
    assert running.api("GET", "/functions", Authorization="")[0] == 401
    done = running.cli("list", "--token", "wrong", ok=False)
    assert done.returncode == 4
    assert ".cloudbase/token" in done.stderr


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Host": "127.0.0.1.evil.example"}]
)
def test_no_web_page_reaches_it(running: Platform, headers: dict[str, str]) -> None:
    status, body = running.api("GET", "/functions", **headers)
    assert status == 403
    assert problem(body)["detail"]


# through the command line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--name", "x", "--runtime", "rust"], 'runtime: there is no runtime "rust": use node, python or dockerfile'),
        (["--name", "Not_A_Label"], 'name: is not a DNS label: "Not_A_Label"'),
        (["--name", "x" * 64], "name: has 64 characters"),
        (["--name", "x", "--min", "5", "--max", "2"], "scaling.min: is 5, above scaling.max, which is 2"),
        (["--name", "x", "--env", "1A=x"], "env.1A: is not a name of an environment variable"),
        (["--name", "x", "--env", "PORT=1"], "env.PORT: is set by the platform"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_4_and_no_function_is_made(
    running: Platform, options: list[str], said: str
) -> None:
    done = deploy(running, HANDLER, *options)
    assert (done.returncode, done.stdout) == (4, "")
    assert said in done.stderr
    assert json.loads(running.cli("list", "-o", "json").stdout)["items"] == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"main.py": "def handler(request:\n"}, "never closed (main.py, line 1)"),
        ({"index.js": "module.exports = (req, res => 1\n"}, "SyntaxError: Unexpected end of input (index.js, line 2)"),
        ({"main.py": "import nowhere_to_be_found\n\ndef handler(request): pass\n"}, "nowhere_to_be_found"),
        ({"index.js": "require('nowhere-to-be-found');\nmodule.exports = () => 1;\n"}, "nowhere-to-be-found"),
        ({"main.py": "HANDLER = None\n"}, "handler"),
        ({"main.py": "raise RuntimeError('not today')\n\ndef handler(request): pass\n"}, "not today"),
    ],
    ids=["python-syntax", "node-syntax", "python-import", "node-require", "no-handler", "throws"],
)
def test_code_that_cannot_run_ends_the_deployment_with_1_and_says_what_and_where(
    running: Platform, files: dict[str, str], said: str
) -> None:
    try:
        done = deploy(running, files, "--name", "broken")
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert running.call("broken").status in (404, 503)
    finally:
        running.cli("delete", "broken", "--yes")


def test_an_update_that_cannot_run_leaves_the_function_as_it_was(running: Platform) -> None:
    assert deploy(running, HANDLER, "--name", "kept").returncode == 0
    try:
        assert deploy(running, {"main.py": "def handler(request:\n"}, "--name", "kept").returncode == 1
        answer = running.call("kept")
        assert (answer.status, answer.body) == (200, b"hello")  # type: ignore[attr-defined]
    finally:
        running.cli("delete", "kept", "--yes")


def test_a_body_beyond_what_the_function_takes_is_413(running: Platform) -> None:
    assert deploy(running, HANDLER | {"cloudbase.toml": "bodyLimit = 4\n"}, "--name", "small").returncode == 0
    try:
        head = b"POST /fn/small HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        assert ask(running, head % 5 + b"12345").startswith(b"HTTP/1.1 413 ")
        assert ask(running, head % 4 + b"1234").startswith(b"HTTP/1.1 200 ")
    finally:
        running.cli("delete", "small", "--yes")


def test_a_taken_port_ends_the_start_with_7_and_names_who_has_it(running: Platform, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        command = [*CLOUDBASE, "dev", "--listen", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0", "--data", str(tmp_path / "data")]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=30)
    assert done.returncode == 7
    assert done.stderr.startswith(f"Error: 127.0.0.1:{port} is taken by pid ")
    assert not (tmp_path / "data" / "token").exists()
