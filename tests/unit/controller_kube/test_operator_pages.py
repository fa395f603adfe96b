"""What is written down beside the operator is what it is: settings, metrics, and the chart's CRDs."""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest

from controller.kube import crd
from controller.kube.build.settings import BuildSettings
from controller.kube.settings import PREFIX, Settings, load, load_builds
from router.options import BadSetting

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| `(\w+)` \| `(CONTROLLER_\w+)` \| ([^|]+) \| (.+) \|$", re.MULTILINE)


def shown(default: object) -> str:
    if default in ("", ()):
        return "none"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_page_lists_every_setting_with_its_default_and_meaning() -> None:
    page = (ROOT / "docs/controller-settings.md").read_text()
    assert {name: (variable, default, meaning) for name, variable, default, meaning in ROW.findall(page)} == {
        one.name: (PREFIX + one.name.upper(), shown(one.default), one.metadata["meaning"]) for one in fields(Settings)
    }


def test_the_page_on_builds_lists_every_setting_of_theirs() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (.+) \|$", (ROOT / "docs/builds.md").read_text(), re.MULTILINE)
    assert {name: (default, meaning) for name, default, meaning in rows} == {
        one.name: (built(one), one.metadata["meaning"]) for one in fields(BuildSettings)
    }


def built(one: Field[Any]) -> str:
    """The default of a setting of builds, as it is written in a variable."""
    if one.default_factory is not MISSING:
        return shown(",".join(f"{name}={value}" for name, value in one.default_factory().items()))
    if isinstance(one.default, bool):
        return f"`{one.default}`".lower()
    return "none" if one.default is MISSING else shown(one.default)


def test_the_charts_crds_are_what_the_structs_say() -> None:
    folder = ROOT / "helm/cloudbase/crds"
    ours = {path.name: path.read_text() for path in folder.glob("*.yaml")}
    assert ours == crd.files(), "run: python -m controller.kube.crd helm/cloudbase/crds"


def test_every_setting_of_a_function_is_explained() -> None:
    explained = crd.explanations(
        "| `git.url` | | a [page](x.md) of `two` |\n| `min` | `[]` | replicas |\n| key | default | meaning |"
    )
    assert explained == {"git.url": "a page of two", "min": "replicas"}
    spec = crd.function(crd.explanations(crd.PAGE.read_text()))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
        "spec"
    ]
    assert [name for name, each in spec["properties"].items() if not each.get("description")] == []


def test_flags_count_before_variables_and_what_cannot_be_is_named() -> None:
    found = load({"builds": "2"}, {"CONTROLLER_BUILDS": "9", "CONTROLLER_NAMESPACES": "a, b", "CONTROLLER_GRACE_MOST": "60"})
    assert (found.builds, found.namespaces, found.grace_most) == (2, ("a", "b"), 60.0)
    for flags, environ, words in (
        ({"builds": "x"}, {}, "--builds must be a whole number, was 'x'"),
        ({}, {"CONTROLLER_BUILDS": "0"}, "CONTROLLER_BUILDS must be at least 1"),
        ({}, {"CONTROLLER_URL": "example.com"}, "CONTROLLER_URL must begin with http"),
        ({}, {"CONTROLLER_ADMIN": "nowhere"}, "CONTROLLER_ADMIN"),
    ):
        with pytest.raises(BadSetting, match=re.escape(words)):
            load(flags, environ)


def test_settings_of_builds_come_the_same_way_and_without_a_registry_there_are_none() -> None:
    assert load_builds({}, {}) is None
    environ = {"CONTROLLER_BUILD_REGISTRY": "r:5000", "CONTROLLER_BUILD_INSECURE": "true", "CONTROLLER_BUILD_DEADLINE": "60"}
    found = load_builds({"registry_map": "index.docker.io=m:1,ghcr.io=m:1"}, environ)
    assert found is not None
    assert (found.registry, found.insecure, found.deadline) == ("r:5000", True, 60.0)
    assert found.registry_map == {"index.docker.io": "m:1", "ghcr.io": "m:1"}
    with pytest.raises(BadSetting, match="CONTROLLER_BUILD_INSECURE must be true or false"):
        load_builds({}, {**environ, "CONTROLLER_BUILD_INSECURE": "perhaps"})
    with pytest.raises(BadSetting, match="is not a registry"):
        load_builds({}, {"CONTROLLER_BUILD_REGISTRY": "https://r"})
