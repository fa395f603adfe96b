"""The autoscaler's decisions as Prometheus metrics."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from autoscaler.loop import Loop, Target
from autoscaler.model import Policy, Sample
from autoscaler.recorder import Recorder
from router.model import RouteKey
from router.scaling_metrics import FACTS, AutoscalerMetrics

KEY = RouteKey("*", "shop", "hello")
DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"


class Deaf:
    """A scaler that does nothing."""

    def scale_to(self, key: RouteKey, replicas: int, reason: str) -> None:
        """Nothing."""


def test_wanted_ready_load_and_the_rule_that_changed_it_are_told_of_each_function() -> None:
    recorder: Recorder[RouteKey] = Recorder()
    now = [1000.0]
    loop = Loop(recorder, Deaf(), lambda: [Target(KEY, Policy(target=10), 1)], lambda: now[0], lambda: now[0])
    registry = CollectorRegistry()
    registry.register(AutoscalerMetrics(loop))
    assert b"cloudbase_autoscaler_replicas_wanted{" not in generate_latest(registry)
    for _ in range(6):
        now[0] += 1
        recorder.record("a", now[0], {KEY: Sample(now[0], 35.0, 10, 35)})
        loop.tick()
    text = generate_latest(registry).decode()
    assert 'cloudbase_autoscaler_replicas_ready{function="hello.shop"} 1.0' in text
    wanted = re.search(r'replicas_wanted\{function="hello.shop"\} (\d+)', text)
    assert wanted and int(wanted[1]) > 1
    assert re.search(r'load\{function="hello.shop",window="panic"\} [1-9]', text)
    assert 'cloudbase_autoscaler_changes_total{function="hello.shop",rule="panic"} 1.0' in text


def test_each_is_documented_with_kind_labels_unit_and_meaning() -> None:
    rows = dict(re.findall(r"^\| `cloudbase_autoscaler_(\w+)` \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE))
    assert rows == {
        name: f"{kind} | {', '.join(labels)} | {unit} | {meaning}" for name, (kind, labels, unit, meaning) in FACTS.items()
    }
