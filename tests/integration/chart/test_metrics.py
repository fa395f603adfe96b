"""Alerts fire when they should and only then; dashboards ask for metrics that there are; every alert has its runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.shared.helm import CHART, ROOT, dashboards, render

pytestmark = pytest.mark.timeout(400)  # the first one fetches helm where there is none
RULES: dict[str, Any] = yaml.safe_load((CHART / "metrics/alerts.yaml").read_text())
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
CASES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "alerts_test.yaml").read_text())
OWN = re.compile(r"\bcloudbase_[a-z_]+")


def documented() -> set[str]:
    """Every series that docs/metrics.md names, histograms as their three."""
    text = (ROOT / "docs/metrics.md").read_text()
    names = set(re.findall(r"`(cloudbase_[a-z_]+)`", text))
    histograms = re.findall(r"`(cloudbase_[a-z_]+)` \| histogram", text)
    return names | {f"{name}_{end}" for name in histograms for end in ("bucket", "count", "sum")}


def queries() -> list[str]:
    """Every query of every panel and alert."""
    pages = [json.loads(path.read_text()) for path in sorted((CHART / "metrics/dashboards").glob("*.json"))]
    return [
        *(target["expr"] for page in pages for panel in page["panels"] for target in panel["targets"]),
        *(str(rule["expr"]) for rule in ALERTS.values()),
    ]


def promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    if not program:
        pytest.skip("no promtool on the PATH (Debian: apt-get install prometheus)")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_series_that_is_asked_for_is_documented() -> None:
    asked = {name for query in queries() for name in OWN.findall(query)}
    assert asked - documented() == set()


def test_the_files_of_the_dashboards_are_what_the_table_makes() -> None:
    there = {path.name: path.read_text() for path in (CHART / "metrics/dashboards").glob("*.json")}
    assert there == dashboards().files(), "run: python helm/dashboards.py"


def test_the_sidecar_gets_each_dashboard_as_it_is_and_the_operator_each_alert() -> None:
    manifests = render({"metrics": {"dashboards": {"enabled": True}, "alerts": {"enabled": True}}})
    for path in (CHART / "metrics/dashboards").glob("*.json"):
        (found,) = [each for each in manifests if path.name in each.get("data", {})]
        assert found["data"][path.name] == path.read_text()
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    (rule,) = [each for each in manifests if each["kind"] == "PrometheusRule"]
    assert rule["spec"] == RULES


def test_nobody_is_told_that_a_controller_is_missing_where_none_is_wanted() -> None:
    manifests = render({"metrics": {"alerts": {"enabled": True}}, "controller": {"enabled": False}})
    (rule,) = [each for each in manifests if each["kind"] == "PrometheusRule"]
    assert "cloudbase_controller" not in json.dumps(rule)
    assert [group for group in RULES["groups"] if "cloudbase_controller" not in json.dumps(group)] == rule["spec"]["groups"]


def test_the_page_lists_the_dashboards_and_what_may_have_no_data() -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    assert re.findall(r"^\| (Cloudbase / \w+) \|", page, re.MULTILINE) == [each.title for each in dashboards().DASHBOARDS]


def test_every_alert_has_a_runbook() -> None:
    headings = set(re.findall(r"^### (Cloudbase\w+)$", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE))
    assert headings == set(ALERTS)


def test_every_alert_has_a_case_in_which_it_fires_and_is_silent_when_all_is_well() -> None:
    cases = {case["name"]: case["alert_rule_test"] for case in CASES["tests"]}
    assert {one["alertname"] for tests in cases.values() for one in tests if one.get("exp_alerts")} == set(ALERTS)
    assert {one["alertname"] for one in cases["all is well"] if "exp_alerts" not in one} == set(ALERTS)


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", str(CHART / "metrics/alerts.yaml"))


def test_alerts_fire_when_they_should_and_say_what_they_should(tmp_path: Path) -> None:
    for case in CASES["tests"]:
        for one in case["alert_rule_test"]:
            for expected in one.get("exp_alerts", ()):
                expected["exp_annotations"] = {
                    name: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found, of=expected: of["exp_labels"][found[1]], text)
                    for name, text in ALERTS[one["alertname"]]["annotations"].items()
                }
    (tmp_path / "alerts.yaml").write_text((CHART / "metrics/alerts.yaml").read_text())
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(CASES))
    promtool("test", "rules", str(tmp_path / "cases.yaml"))
