"""skaffold.yaml builds this repository's image and installs this chart with values that it takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.shared.helm import CHART, ROOT, only, program, render

pytestmark = pytest.mark.timeout(400)  # the first one fetches helm where there is none

SKAFFOLD = os.environ.get("SKAFFOLD") or shutil.which("skaffold") or ""
FILE: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())


def test_what_it_names_is_there() -> None:
    (artifact,) = FILE["build"]["artifacts"]
    assert (ROOT / artifact["docker"]["dockerfile"]).is_file()
    (release,) = FILE["deploy"]["helm"]["releases"]
    assert ROOT / release["chartPath"] == CHART
    assert all((ROOT / name).is_file() for name in release["valuesFiles"])


def test_files_are_copied_to_where_processes_run_that_start_anew() -> None:
    (artifact,) = FILE["build"]["artifacts"]
    dockerfile = (ROOT / artifact["docker"]["dockerfile"]).read_text()
    (profile,) = FILE["profiles"]
    (patch,) = profile["patches"]
    assert profile["activation"] == [{"command": "dev"}] and patch["value"] == {"development.reload": True}
    manifests = render({"development": {"reload": True}})
    for part in ("router", "controller"):
        pod = only(manifests, "Deployment", f"cloudbase-{part}")["spec"]["template"]["spec"]
        (container,), (before,) = pod["containers"], pod["initContainers"]
        assert container["args"] == ["cloudbase.reload", part, "--kube"]
        assert before["command"] == ["cp", "-a", "/app", "/code"] and "WORKDIR /app" in dockerfile
        assert container["workingDir"] == "/code/app" and {"name": "code", "mountPath": "/code"} in container["volumeMounts"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        for rule in artifact["sync"]["manual"]:
            room = rule["src"].partition("/")[0]
            assert rule["dest"] == container["workingDir"] and f"COPY {room}/ {room}/" in dockerfile
            assert list(ROOT.glob(rule["src"]))


def test_without_development_nothing_of_it_is_there() -> None:
    assert "/code" not in str(render()) and "cloudbase.reload" not in str(render())


@pytest.mark.parametrize("digest", ["", "sha256:" + "a" * 64], ids=["built here", "pushed"])
def test_its_release_runs_the_image_that_it_builds(digest: str) -> None:
    (artifact,) = FILE["build"]["artifacts"]
    (release,) = FILE["deploy"]["helm"]["releases"]
    values: dict[str, Any] = yaml.safe_load((ROOT / release["valuesFiles"][0]).read_text())
    built = {
        f"IMAGE_{part}_cloudbase_platform": value
        for part, value in (("REPO", artifact["image"]), ("TAG", "abc"), ("DIGEST", digest))
    }
    for path, template in release["setValueTemplates"].items():
        part, name = path.split(".")
        values.setdefault(part, {})[name] = built[template.removeprefix("{{.").removesuffix("}}")]
    manifests = render(values, release=release["name"])
    for part in ("router", "controller"):
        (container,) = only(manifests, "Deployment", f"cloudbase-{part}")["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "cloudbase/platform:abc" + (f"@{digest}" if digest else "")  # by which files find their pods
    (forward,) = FILE["portForward"]
    assert only(manifests, "Service", forward["resourceName"])["spec"]["ports"][0]["port"] == forward["port"]


@pytest.mark.skipif(not SKAFFOLD, reason="no skaffold on the PATH: set SKAFFOLD")
def test_what_skaffold_renders_is_what_the_chart_does(tmp_path: Path) -> None:
    built = tmp_path / "built.json"
    built.write_text(json.dumps({"builds": [{"imageName": "cloudbase/platform", "tag": "cloudbase/platform:abc123"}]}))
    (tmp_path / "helm").symlink_to(program())
    rendered = tmp_path / "all.yaml"
    done = subprocess.run(
        [SKAFFOLD, "render", "--build-artifacts", str(built), "--offline", "--digest-source", "none", "-o", str(rendered)],
        cwd=ROOT, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = yaml.safe_load((CHART / "values-dev.yaml").read_text())
    values["image"] = {**values["image"], "repository": "cloudbase/platform", "tag": "abc123"}
    assert by_name([each for each in yaml.safe_load_all(rendered.read_text()) if each]) == by_name(render(values))


def by_name(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"{each['kind']} {each['metadata'].get('namespace', '')}/{each['metadata']['name']}": each for each in manifests}
