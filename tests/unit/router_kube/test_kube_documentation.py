"""docs/kubernetes.md names every flag and annotation of the router's cluster side, docs/metrics.md every metric; none more."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from router.kube.annotations import KEYS
from router.kube.metrics import FACTS
from router.kube.settings import KubeSettings

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_every_setting_is_documented_with_its_flag_variable_default_and_meaning() -> None:
    rows = [cells(line) for line in PAGE.splitlines() if line.startswith("| `--kube-")]
    expected = [
        [
            f"`--kube-{one.name.replace('_', '-')}`", f"`ROUTER_KUBE_{one.name.upper()}`",
            f"`{one.default}`" if one.default else "", one.metadata["meaning"],
        ]
        for one in fields(KubeSettings)
    ]  # fmt: skip
    assert [[*row[:3], row[3].replace("`", "").replace(", separated by commas", "")] for row in rows] == expected


def test_every_annotation_is_documented_and_no_other() -> None:
    named = set()
    for line in PAGE.splitlines():
        if line.startswith("| `cloudbase.dev/"):
            named |= {name.removeprefix("cloudbase.dev/") for name in re.findall(r"`([a-z./-]+)`", cells(line)[0])}
    assert {f"cloudbase.dev/{name}" for name in named} == set(KEYS)


def test_every_metric_is_documented_with_kind_label_unit_and_meaning() -> None:
    lines = (ROOT / "docs" / "metrics.md").read_text().splitlines()
    rows = [cells(line) for line in lines if line.startswith("| `cloudbase_router_kube_")]
    assert rows == [
        [f"`cloudbase_router_kube_{name}`", kind, label or "-", unit, meaning]
        for name, (kind, label, unit, meaning) in FACTS.items()
    ]
