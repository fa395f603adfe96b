"""Code that cannot be run: each kind has its exit code, a clear last line on stderr, and the same on the ready line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from runtimes.catalog import EXIT_REASONS
from tests.shared.function_process import FunctionProcess

CODES = {reason: code for code, reason in EXIT_REASONS.items()}

# what is wrong: (runtime, files, entry, reason, words of the message)
CASES: dict[str, tuple[str, dict[str, str], str, str, tuple[str, ...]]] = {
    "node: nothing there": ("node", {}, "", "EntryMissing", ("index", "name its file in entry")),
    "node: entry is not there": ("node", {}, "nope.js", "EntryMissing", ('"nope.js"',)),
    "node: main is not there": ("node", {"package.json": '{"main": "lib/x.js"}'}, "", "EntryMissing", ("index",)),
    "node: broken package.json": ("node", {"package.json": "{"}, "", "SyntaxError", ("package.json",)),
    "node: syntax": ("node", {"index.js": "\n\nmodule.exports = (req => {\n"}, "", "SyntaxError", ("index.js:", "Unexpected")),
    "node: syntax in an ES module": ("node", {"index.mjs": "export default (\n"}, "", "SyntaxError", ("index.mjs",)),
    "node: ES module by mistake": (
        "node",
        {"index.js": "import fs from 'node:fs';\nexport default () => {};\nconst require = 1, module = 2;\nwith ({}) {}"},
        "",
        "SyntaxError",
        ("index.js",),
    ),
    "node: missing package": (
        "node",
        {"index.js": "require('left-pad')"},
        "",
        "MissingDependency",
        ("left-pad", "not installed", "package.json"),
    ),
    "node: missing package of an ES module": (
        "node",
        {"index.mjs": "import 'left-pad'"},
        "",
        "MissingDependency",
        ("left-pad", "package.json"),
    ),
    "node: missing file": ("node", {"index.js": "require('./lib')"}, "", "MissingDependency", ("./lib", "not there")),
    "node: throws": ("node", {"index.js": "throw new Error('no database')"}, "", "LoadFailed", ("index.js", "no database")),
    "node: throws later": (
        "node",
        {"index.js": "setTimeout(() => { throw new Error('no database') }, 5)"},
        "",
        "LoadFailed",
        ("no database",),
    ),
    "node: nothing to call": ("node", {"index.js": "exports.other = () => 1"}, "", "NoHandler", ("exports no function", "$PORT")),
    "node: no such name": ("node", {"index.js": "exports.other = () => 1"}, "index.js:main", "NoHandler", ("index.js", "main")),
    "python: nothing there": ("python", {}, "", "EntryMissing", ("main.py", "name its file in entry")),
    "python: entry is not there": ("python", {}, "nope.py", "EntryMissing", ("'nope.py'",)),
    "python: syntax": ("python", {"main.py": "\n\ndef handler(:\n"}, "", "SyntaxError", ("main.py:3", "invalid syntax")),
    "python: syntax elsewhere": (
        "python",
        {"main.py": "import other\ndef handler(r): ...", "other.py": "(\n"},
        "",
        "SyntaxError",
        ("other.py:1",),
    ),
    "python: missing package": (
        "python",
        {"main.py": "import requests_nope\n\ndef handler(r): ..."},
        "",
        "MissingDependency",
        ("main.py:1", "'requests_nope'", "requirements.txt"),
    ),
    "python: the platform's own packages are not there": (
        "python",
        {"main.py": "import starlette\n\ndef handler(r): ..."},
        "",
        "MissingDependency",
        ("'starlette'",),
    ),
    "python: throws": (
        "python",
        {"main.py": "x = 1\nx / 0\ndef handler(r): ..."},
        "",
        "LoadFailed",
        ("main.py:2", "ZeroDivisionError"),
    ),
    "python: no such name": ("python", {"main.py": "x = 1"}, "main.py:main", "NoHandler", ("main.py", "main")),
    "python: wrong arguments": (
        "python",
        {"main.py": "def handler(event, context): ..."},
        "",
        "NoHandler",
        ("takes 2 arguments",),
    ),
    "python: a program that does nothing": ("python", {"main.py": "print('done')"}, "", "NoHandler", ("main.py", "$PORT")),
    "python: start-up fails": (
        "python",
        {
            "main.py": "async def app(scope, receive, send):\n"
            "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
        },
        "",
        "LoadFailed",
        ("start-up failed", "no database"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_loaded_ends_with_its_reason(case: str, tmp_path: Path) -> None:
    runtime, files, entry, reason, words = CASES[case]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with FunctionProcess(runtime, tmp_path, entry=entry) as function:
        assert function.exit_code() == CODES[reason]
        last = function.stderr.splitlines()[-1]
        ready = function.ready
    assert last.startswith(f"cloudbase: {reason}: ")
    assert all(word in last for word in words), last
    if "probe" not in ready:
        assert (ready["failed"], last) == (reason, f"cloudbase: {reason}: {ready['message']}")


@pytest.mark.parametrize("runtime", ["node", "python"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("CLOUDBASE_TIMEOUT", "soon"), ("PORT", "99999"), ("CLOUDBASE_LOG_FORMAT", "xml"), ("CLOUDBASE_GRACE", "-1")],
)
def test_a_setting_that_makes_no_sense_is_named(runtime: str, name: str, value: str, tmp_path: Path) -> None:
    with FunctionProcess(runtime, tmp_path, env={name: value}) as function:
        assert function.exit_code() == CODES["BadSetting"]
        assert function.ready["failed"] == "BadSetting"
        assert name in function.ready["message"]
        assert value in function.ready["message"]


@pytest.mark.parametrize(
    ("runtime", "file", "text"), [("node", "index.js", "module.exports = () => 1"), ("python", "main.py", "handler = print")]
)
def test_a_port_that_is_taken_is_named(runtime: str, file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text if runtime == "node" else "def handler(request): ...")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with FunctionProcess(runtime, tmp_path, over="tcp", env={"PORT": port}) as function:
            assert function.exit_code() == CODES["ListenFailed"]
            assert f"127.0.0.1:{port}" in function.ready["message"]


@pytest.mark.parametrize(("runtime", "file"), [("node", "index.js"), ("python", "main.py")])
def test_a_socket_left_behind_by_a_killed_process_is_no_obstacle(runtime: str, file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("module.exports = (q, r) => r.end()" if runtime == "node" else "def handler(request): ...")
    left = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(left))
    with FunctionProcess(runtime, tmp_path, env={"CLOUDBASE_SOCKET": str(left)}) as function:
        assert function.ready == {"listening": f"unix:{left}"}
        assert function.request().status in (200, 204)
