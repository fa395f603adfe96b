"""Source to answer through the local builder and deployer, with the real runtimes of node and Python."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller.local.builder import LocalBuilder
from controller.local.orphans import identity
from controller.local.toolchain import program
from controller.model import Function
from controller.ports import Replica
from tests.integration.controller_local.local_world import ENV, deployed, get, make_function, ready, texts_of, until
from tests.integration.controller_local.registries import lock, registry

NODE = {"index.js": "console.log('loaded'); module.exports = (req, res) => res.end('hello from node')\n"}
PYTHON = {"main.py": "print('loaded', flush=True)\ndef handler(request): return 'hello from python'\n"}
PACKAGE = json.dumps({"name": "app", "version": "1.0.0", "dependencies": {"tiny": "^1.0.0"}})
BY_ITSELF = "require('http').createServer((q, s) => s.end('by itself')).listen(process.env.PORT)\n"

PLATFORM = """
import asyncio, sys
from pathlib import Path
from tests.integration.controller_local.local_world import deployed, ready, until
from controller.model import Function, FunctionSpec
async def main():
    async with deployed(Path(sys.argv[1])) as deployer:
        await deployer.ensure(Function(name="hello", spec=FunctionSpec(runtime=sys.argv[2])), "hello-00001", sys.argv[3], 1)
        await until(deployer, ready(1))
        print(next(iter(deployer._functions.values())).all[0].pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def artifact(data: Path, function: Function, **env: str) -> str:
    result = await LocalBuilder(data, env={**ENV, **env}).build(function, lambda line: None)
    assert result.artifact, result.message
    return result.artifact


async def answer(data: Path, function: Function, **env: str) -> tuple[str, list[str], str]:
    """What a function answers and logs, and the address where."""
    built = await artifact(data, function, **env)
    async with deployed(data) as deployer:
        await deployer.ensure(function, "hello-00001", built, 1)
        replica = (await until(deployer, ready(1)))[0]
        return await get(replica.address), await texts_of(deployer), replica.address


@pytest.mark.parametrize(("runtime", "files"), [("node", NODE), ("python", PYTHON)])
def test_a_handler_answers_on_its_socket_and_its_words_are_logged(data: Path, runtime: str, files: dict[str, str]) -> None:
    body, log, address = asyncio.run(answer(data, make_function(data, files, runtime=runtime)))

    assert body == f"hello from {runtime}"
    assert log == ["loaded"]
    assert address.startswith("unix:")


@pytest.mark.parametrize("runtime", ["node", "python"])
def test_installed_dependencies_are_found(data: Path, runtime: str) -> None:
    with registry() as url:
        files = {
            "node": {
                "index.js": "const tiny = require('tiny'); exports.handler = async () => tiny",
                "package.json": PACKAGE,
                "package-lock.json": lock(url),
            },
            "python": {"main.py": "import tiny\ndef handler(request): return tiny.WORD", "requirements.txt": "tiny==1.0\n"},
        }
        function = make_function(data, files[runtime], runtime=runtime)
        body, _, _ = asyncio.run(answer(data, function, npm_config_registry=url, PIP_INDEX_URL=f"{url}/simple"))

    assert body == {"node": "tiny of npm", "python": "tiny of pip"}[runtime]


@pytest.mark.parametrize(
    ("runtime", "files", "entry"),
    [
        ("node", {"own.js": BY_ITSELF}, "own.js"),
        ("node", {"own.js": BY_ITSELF}, f"$ {program('node')[0]} own.js"),
        ("python", {"page/index.html": "by itself"}, f"$ {sys.executable} -m http.server $PORT --directory page"),
    ],
)
def test_a_program_that_listens_by_itself_answers(data: Path, runtime: str, files: dict[str, str], entry: str) -> None:
    body, _, _ = asyncio.run(answer(data, make_function(data, files, runtime=runtime, entry=entry)))

    assert body == "by itself"


@pytest.mark.parametrize(
    ("runtime", "files", "message"),
    [
        ("node", {"index.js": "require('not-installed')"}, "exited with status 82: MissingDependency"),
        ("node", {"index.js": "throw new Error('no luck')"}, "no luck"),
        ("python", {"main.py": "import not_installed\ndef handler(r): ..."}, "exited with status 82: MissingDependency"),
        ("python", {"main.py": "raise ValueError('no luck')\ndef handler(r): ..."}, "no luck"),
    ],
)
def test_code_that_does_not_load_is_told_with_its_reason(data: Path, runtime: str, files: dict[str, str], message: str) -> None:
    async def scenario() -> Replica:
        function = make_function(data, files, runtime=runtime)
        built = await artifact(data, function)
        async with deployed(data) as deployer:
            await deployer.ensure(function, "hello-00001", built, 1)
            return (await until(deployer, lambda replicas: replicas[0].restarts == 1))[0]

    assert message in asyncio.run(scenario()).message


@pytest.mark.parametrize(("runtime", "files"), [("node", NODE), ("python", PYTHON)])
def test_an_idle_replica_ends_at_once_when_it_is_not_needed(data: Path, runtime: str, files: dict[str, str]) -> None:
    async def scenario() -> float:
        function = make_function(data, files, runtime=runtime)
        built = await artifact(data, function)
        async with deployed(data) as deployer:
            await deployer.ensure(function, "hello-00001", built, 1)
            await until(deployer, ready(1))
            began = time.monotonic()
            await deployer.retire(function, "hello-00001")
            return time.monotonic() - began

    assert asyncio.run(scenario()) < 3.0  # of 5


@pytest.mark.parametrize(("runtime", "files"), [("node", NODE), ("python", PYTHON)])
def test_a_runtime_ends_with_its_platform_where_the_kernel_does_not_see_to_it(
    data: Path, tmp_path: Path, runtime: str, files: dict[str, str]
) -> None:
    built = asyncio.run(artifact(data, make_function(data, files, runtime=runtime)))
    programs = tmp_path / "bin"  # as on macOS: there is no setpriv
    programs.mkdir()
    (programs / "node").symlink_to(shutil.which("node") or program("node")[0])
    env = {**os.environ, "PATH": str(programs), "PYTHONPATH": str(Path(__file__).parents[3])}
    platform = subprocess.Popen([sys.executable, "-c", PLATFORM, str(data), runtime, built], env=env, stdout=subprocess.PIPE)
    assert platform.stdout is not None
    try:
        pid = int(platform.stdout.readline())
    finally:
        platform.kill()
        platform.wait()
        platform.stdout.close()

    end = time.monotonic() + 30
    while identity(pid) and time.monotonic() < end:
        time.sleep(0.01)
    survived = bool(identity(pid))
    if survived:
        os.kill(pid, signal.SIGKILL)
    assert not survived
