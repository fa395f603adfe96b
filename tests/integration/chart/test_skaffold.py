"""skaffold.yaml builds this repository's image and installs this chart with values that it takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from helm import CHART, ROOT, only, render

pytestmark = pytest.mark.timeout(400)  # the first one fetches helm where there is none
FILE: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())


def test_what_it_names_is_there() -> None:
    (artifact,) = FILE["build"]["artifacts"]
    assert (ROOT / artifact["docker"]["dockerfile"]).is_file()
    (release,) = FILE["deploy"]["helm"]["releases"]
    assert ROOT / release["chartPath"] == CHART
    assert all((ROOT / name).is_file() for name in release["valuesFiles"])


def test_files_are_copied_to_where_the_image_has_them() -> None:
    (artifact,) = FILE["build"]["artifacts"]
    dockerfile = (ROOT / artifact["docker"]["dockerfile"]).read_text()
    for rule in artifact["sync"]["manual"]:
        room = rule["src"].partition("/")[0]
        assert rule["dest"] == "/app" and f"COPY {room}/ {room}/" in dockerfile
        assert list(ROOT.glob(rule["src"]))


def test_its_release_runs_the_image_that_it_builds() -> None:
    (artifact,) = FILE["build"]["artifacts"]
    (release,) = FILE["deploy"]["helm"]["releases"]
    values: dict[str, Any] = yaml.safe_load((ROOT / release["valuesFiles"][0]).read_text())
    built = {"IMAGE_REPO_cloudbase_platform": artifact["image"], "IMAGE_TAG_cloudbase_platform": "abc123"}
    for path, template in release["setValueTemplates"].items():
        part, name = path.split(".")
        values.setdefault(part, {})[name] = built[template.removeprefix("{{.").removesuffix("}}")]
    manifests = render(values, release=release["name"])
    for part in ("router", "controller"):
        (container,) = only(manifests, "Deployment", f"cloudbase-{part}")["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "cloudbase/platform:abc123"
    (forward,) = FILE["portForward"]
    assert only(manifests, "Service", forward["resourceName"])["spec"]["ports"][0]["port"] == forward["port"]
