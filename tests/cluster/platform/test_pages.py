"""The commands of the operators' pages work on the installed platform as they are written, but for names of examples."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cluster.platform.deploying import Deployer
from tests.cluster.platform.installed import Platform, kubectl
from tests.cluster.shared.router_on_a_cluster import MARKS, Place, in_a_namespace
from tests.shared import helm as chart
from tests.shared.commands_in_docs import played
from tests.shared.free_ports import free_port
from tests.shared.helm import ROOT
from tests.shared.tour import play

pytestmark = [*MARKS, pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")]

TEST = str(Path(__file__).relative_to(ROOT))
HELLO = 'print("hello", flush=True)\n\n\ndef handler(request):\n    return "hello"\n'


def words(platform: Platform, namespace: str) -> dict[str, dict[str, str]]:
    """By page: what its examples call otherwise than it is called here. Port 8080 may be another's."""
    system = {"cloudbase-system": platform.namespace}
    traffic, admin = str(free_port()), str(free_port())
    return {
        "docs/install.md": system | {
            "8080:80": f"{traffic}:80", "127.0.0.1:8080": f"127.0.0.1:{traffic}", "examples/": f"{ROOT}/examples/",
            "--namespace default": f"--namespace {namespace}", "registry.example.com/echo:1": platform.echo(),
        },
        "docs/operator.md": {"team": namespace},
        "docs/builds.md": system | {"NAMESPACE": namespace},
        "docs/security.md": system,
        "docs/sizing.md": system,
        "docs/troubleshooting.md": system | {"cloudbase-router 8081": f"cloudbase-router {admin}:8081", ":8081/": f":{admin}/"},
        "docs/upgrade.md": system | {"helm/": f"{ROOT}/helm/"},
    }  # fmt: skip


@pytest.mark.slow
def test_the_commands_of_the_operators_pages_work_as_they_are_written(platform: Platform, tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        env = {"CLOUDBASE_PLATFORM": platform.namespace, "KUBECONFIG": str(operator_s(tmp_path, place.namespace))}
        folder = tmp_path / "hello"
        folder.mkdir()
        (folder / "main.py").write_text(HELLO)
        for page, told in words(platform, place.namespace).items():
            print(await asyncio.to_thread(typed, page, tmp_path, told, env))
        await asyncio.to_thread(Deployer("", place.namespace, "").delete_all)

    in_a_namespace(scenario)


def typed(page: str, home: Path, told: Mapping[str, str], env: Mapping[str, str]) -> str:
    """A page's commands, and what they said."""
    return play(played(page, TEST), home, words=told, env=env, programs={"helm": chart.program()}, within=700)


def operator_s(folder: Path, namespace: str) -> Path:
    """A kubeconfig whose only context is called as in the pages, and in this namespace."""
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    (context,) = config["contexts"]
    context["name"] = config["current-context"] = "prod"
    context["context"]["namespace"] = namespace
    file = folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))
    return file
