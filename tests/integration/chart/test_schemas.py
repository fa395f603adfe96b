"""skaffold.yaml and the dashboards are what their programs read: held against the schemas that these publish."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, ValidationError

from tests.shared.helm import CHART, ROOT

SCHEMAS = Path(__file__).parent / "schemas"
PAGES = {path.stem: json.loads(path.read_text()) for path in sorted((CHART / "metrics/dashboards").glob("*.json"))}


def check(document: Any, name: str, part: str = "") -> None:
    """Against a schema, or one definition of it. Raises ValidationError."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    if part:
        schema |= {"$ref": f"#/definitions/{part}"}
    Draft7Validator(schema).validate(document)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_dashboard_is_what_grafana_reads(page: dict[str, Any]) -> None:
    check(page, "dashboard")
    assert 8 <= len(page["uid"]) <= 40
    for panel in page["panels"]:
        check(panel["fieldConfig"]["defaults"]["unit"], "units")
        check(panel["options"], panel["type"], "Options")
        check(panel["fieldConfig"]["defaults"]["custom"], "timeseries", "FieldConfig")
        for target in panel["targets"]:
            check(target, "prometheus")
    places = [panel["gridPos"] for panel in page["panels"]]
    taken = [(x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) < 24  # no panel lies on another


def test_a_dashboard_that_is_not_is_refused() -> None:
    page = copy.deepcopy(next(iter(PAGES.values())))
    page["panels"][0]["titel"] = "misspelt"
    with pytest.raises(ValidationError):
        check(page, "dashboard")
    with pytest.raises(ValidationError):
        check("requests", "units")


def test_skaffold_s_file_is_what_skaffold_reads() -> None:
    check(yaml.safe_load((ROOT / "skaffold.yaml").read_text()), "skaffold")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("build", "artefacts"), []),
        (("deploy", "helm", "releases", 0, "setValuesTemplate"), {}),
        (("portForward", 0, "port"), [80]),
    ],
)
def test_a_file_that_skaffold_does_not_read_is_refused(path: tuple[str | int, ...], value: Any) -> None:
    document = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        check(document, "skaffold")
