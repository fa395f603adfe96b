"""What `cloudbase dev` does by itself: watched folders, functions found again, the admin port; and the tours as written."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.local import CLOUDBASE, ROOT, Platform, environment, platform
from tests.e2e.functions_for_tests import write

README = (ROOT / "README.md").read_text().partition("## The first ten minutes")[2].partition("\n## ")[0]
TEN_MINUTES = (ROOT / "docs" / "first-ten-minutes.md").read_text()
STEP = re.compile(r"^ {4}(?P<typed>[^\n]+)$|^```python\n# (?P<path>\S+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tours call functions by curl: apt-get install curl")
@pytest.mark.parametrize("page", [README, TEN_MINUTES], ids=["README.md", "docs/first-ten-minutes.md"])
def test_a_tour_works_as_it_is_written(tmp_path: Path, page: str) -> None:
    """Indented lines are typed, with `# ends with N` where they fail; Python blocks that begin with a path are written."""
    home = tmp_path / "home"
    home.mkdir()
    with platform(tmp_path, ["--sample"]) as running:
        running.until("the sample is ready", lambda: running.view("hello").get("ready"), 60)
        addresses = {"127.0.0.1:8080": running.listen, "127.0.0.1:8081": running.admin}
        for usual, (host, port) in addresses.items():
            page = page.replace(usual, f"{host}:{port}")
        steps = list(STEP.finditer(page))
        assert len(steps) > 8
        for step in steps:
            if step["path"]:
                (home / step["path"]).write_text(step["code"])
            else:
                type_in(step["typed"], home, running)


def type_in(line: str, home: Path, running: Platform) -> None:
    """Run a line of a tour as in a shell, against this platform."""
    if line.startswith(("source ", "cloudbase dev")):
        return  # how the tour's reader came here, or another way to do so; `dev --watch` has a test of its own
    words = shlex.split(line, comments=True)
    expected = re.search(r"# ends with (\d+)$", line)
    command = [*CLOUDBASE, *words[1:]] if words[0] == "cloudbase" else [*words, "-sf"]
    env = environment() | {"CLOUDBASE_DATA": str(running.data)}
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == int(expected[1] if expected else 0), f"{line}\n{done.stdout}{done.stderr}{running.said()}"


def test_a_watched_folder_is_deployed_at_once_and_on_every_save(tmp_path: Path) -> None:
    folder = write(tmp_path / "watched", {"main.py": "def handler(request):\n    return 'one'\n"})
    with platform(tmp_path / "platform", ["--watch", str(folder)]) as running:
        running.until("it answers", lambda: running.call("watched").status == 200)
        (folder / "main.py").write_text("def handler(request:\n")
        running.until("a save that cannot run is told", lambda: "not deployed" in running.log.read_text())
        (folder / "main.py").write_text("def handler(request):\n    return 'two'\n")
        running.until("the save answers", lambda: running.call("watched").body == b"two")  # type: ignore[attr-defined]


def test_a_platform_started_again_finds_its_functions_and_keeps_its_token(tmp_path: Path) -> None:
    folder = write(tmp_path / "kept", {"main.py": "def handler(request):\n    return 'kept'\n"})
    running = Platform(tmp_path / "platform").start()
    try:
        running.cli("deploy", str(folder))
        token = (running.data / "token").read_text()
        assert running.stop(signal.SIGINT) == 0, running.said()
        running.start()
        assert running.call("kept").body == b"kept"  # type: ignore[attr-defined]
        assert (running.data / "token").read_text() == token
    finally:
        running.stop()


def test_the_admin_port_answers_health_metrics_and_the_description_of_the_api(running: Platform) -> None:
    assert running.api("GET", "/healthz", prefix="") == (200, b'{"status":"ok"}')
    status, metrics = running.api("GET", "/metrics", prefix="")
    assert status == 200
    assert b"cloudbase_router_client_connections" in metrics
    assert b'cloudbase_controller_builds_total{outcome="succeeded"}' in metrics
    assert b"cloudbase_controller_leading" not in metrics  # there is no lease here
    status, described = running.api("GET", "/openapi.json")
    assert (status, json.loads(described)["openapi"][:4]) == (200, "3.1.")


def test_logs_are_followed_as_they_are_written(running: Platform, tmp_path: Path) -> None:
    folder = write(tmp_path / "talks", {"main.py": "def handler(request):\n    print('called', request.path)\n    return ''\n"})
    running.cli("deploy", str(folder))
    command = [*CLOUDBASE, "logs", "talks", "--follow", "--data", str(running.data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as follower:
        try:
            assert follower.stdout is not None
            for path in ("/one", "/two"):
                assert running.call("talks", path).status == 200
                assert follower.stdout.readline() == f"called {path}\n"
        finally:
            follower.send_signal(signal.SIGINT)
        assert follower.wait(10) == 130


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--listen", "nonsense"], "--listen must be HOST:PORT"),
        (["--admin", "0.0.0.0:0"], "--admin must be a loopback address"),
        (["--config", "/nowhere.toml"], "cannot read the settings file /nowhere.toml"),
    ],
)
def test_a_bad_setting_stops_the_start_in_one_sentence(tmp_path: Path, options: list[str], said: str) -> None:
    command = [*CLOUDBASE, "dev", "--data", str(tmp_path / "data"), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=30)
    assert done.returncode == 2
    assert re.match(rf"Error: {re.escape(said)}", done.stderr), done.stderr
    assert not (tmp_path / "data").exists()


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "cloudbase", "--version"], capture_output=True, text=True, env=environment())
    assert re.fullmatch(r"cloudbase \d+\.\d+\.\d+\n", done.stdout)
