"""Writes the chart's Grafana dashboards (`python helm/dashboards.py`) from a table of panels; a test holds the files to it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "cloudbase" / "metrics" / "dashboards"
WIDTH = 24  # of Grafana's grid
RATE = "$__rate_interval"
HOUR = "1h"
ONE = 'function=~"$function"'
STAT = {
    "graphMode": "area", "colorMode": "value", "justifyMode": "auto", "textMode": "auto", "wideLayout": True,
    "showPercentChange": False, "percentChangeColorMode": "standard", "orientation": "auto",
    "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: queries with their legends, Grafana's name of the unit, and what to read in it."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    description: str
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    may_be_empty: bool = False  # errors that are not there have no series


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page; `variable` names a query whose values one can choose from."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    variable: str = ""


def quantiles(metric: str, by: str, where: str = "", over: str = RATE) -> tuple[tuple[str, str], ...]:
    """p50, p95 and p99 of a histogram."""
    braces = f"{{{where}}}" if where else ""
    return tuple(
        (
            f"histogram_quantile({q}, sum by ({by}le) (rate({metric}_bucket{braces}[{over}])))",
            f"{{{{function}}}} {name}" if by else name,
        )
        for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    )


OVERVIEW = Dashboard(
    "cloudbase-overview",
    "Cloudbase / Overview",
    (
        Panel("Requests", "reqps", ((f"sum(rate(cloudbase_router_requests_total[{RATE}]))", "requests"),),
              "Answered per second, over all functions.", "stat", 4),
        Panel("Errors", "percentunit", ((
            f'sum(rate(cloudbase_router_requests_total{{code="5xx"}}[{RATE}])) / sum(rate(cloudbase_router_requests_total[{RATE}]))',
            "5xx"),), "Share of answers with a status of 500 and above.", "stat", 4, may_be_empty=True),
        Panel("In flight", "short", (("sum(cloudbase_router_in_flight)", "requests"),), "At replicas now, streams included.", "stat", 4),
        Panel("Waiting", "short", (("sum(cloudbase_router_waiting)", "requests"),), "For a replica or a slot now.", "stat", 4),
        Panel("Replicas ready", "short", (("sum(cloudbase_autoscaler_replicas_ready)", "replicas"),), "Of all functions.", "stat", 4),
        Panel("Routes", "short", (("max(cloudbase_router_kube_routes)", "routes"),), "Functions that the routers know.", "stat", 4),
        Panel("Requests by function", "reqps",
              ((f"topk(10, sum by (function) (rate(cloudbase_router_requests_total[{RATE}])))", "{{function}}"),),
              "The ten busiest.", width=12, stacked=True),
        Panel("Answers by class", "reqps", ((f"sum by (code) (rate(cloudbase_router_requests_total[{RATE}]))", "{{code}}"),),
              "`none`: the client was gone before an answer.", width=12, stacked=True),
        Panel("Duration", "s", quantiles("cloudbase_router_request_duration_seconds", ""),
              "From the request's head to the end of its answer, cold starts included.", width=12),
        Panel("Cold starts", "s", quantiles("cloudbase_router_cold_start_seconds", ""), "What requests waited that found nothing ready.",
              width=12),
        Panel("Turned away", "reqps", ((f"sum by (reason) (rate(cloudbase_router_unserved_total[{RATE}]))", "{{reason}}"),),
              "Requests that never reached their function, and why.", width=12, may_be_empty=True),
        Panel("Broken at replicas", "reqps",
              ((f"sum by (failure) (rate(cloudbase_router_upstream_failures_total[{RATE}]))", "{{failure}}"),),
              "Most are repeated elsewhere and not seen by a client.", width=12, may_be_empty=True),
    ),
)  # fmt: skip

FUNCTION = Dashboard(
    "cloudbase-function",
    "Cloudbase / Function",
    (
        Panel("Requests", "reqps", ((f"sum by (code) (rate(cloudbase_router_requests_total{{{ONE}}}[{RATE}]))", "{{code}}"),),
              "By class of answer.", stacked=True),
        Panel("Errors", "percentunit", ((
            f'sum(rate(cloudbase_router_requests_total{{{ONE},code="5xx"}}[{RATE}]))'
            f" / sum(rate(cloudbase_router_requests_total{{{ONE}}}[{RATE}]))", "5xx"),),
            "Share of answers with a status of 500 and above.", may_be_empty=True),
        Panel("Duration", "s", quantiles("cloudbase_router_request_duration_seconds", "", ONE), "Cold starts included."),
        Panel("Concurrency", "short", (
            (f"sum(cloudbase_router_in_flight{{{ONE}}})", "in flight"), (f"sum(cloudbase_router_waiting{{{ONE}}})", "waiting"),
        ), "Now, over all routers."),
        Panel("Replicas", "short", (
            (f"max(cloudbase_autoscaler_replicas_wanted{{{ONE}}})", "wanted"),
            (f"max(cloudbase_autoscaler_replicas_ready{{{ONE}}})", "ready"),
        ), "What the autoscaler decided, and what takes requests."),
        Panel("Load", "short", ((f"max by (window) (cloudbase_autoscaler_load{{{ONE}}})", "{{window}}"),),
              "What it decided on: the average over the stable and the panic window."),
        Panel("Why it was scaled", "short", ((f"sum by (rule) (increase(cloudbase_autoscaler_changes_total{{{ONE}}}[{RATE}]))", "{{rule}}"),),
              "Changes of the number of replicas, by the rule that made them.", stacked=True),
        Panel("Cold starts", "s", quantiles("cloudbase_router_cold_start_seconds", "", ONE), "What requests waited that found nothing ready."),
        Panel("Cold start by part", "s", ((
            f"sum by (part) (rate(cloudbase_router_cold_start_part_seconds_total{{{ONE}}}[{RATE}]))"
            f" / on() group_left sum(rate(cloudbase_router_cold_start_seconds_count{{{ONE}}}[{RATE}]))", "{{part}}"),),
            "wake: the scale write; schedule: until there is an address; start: until it is ready; connect.", stacked=True),
        Panel("Turned away", "reqps", ((f"sum by (reason) (rate(cloudbase_router_unserved_total{{{ONE}}}[{RATE}]))", "{{reason}}"),),
              "queue_full, queue_bytes, deadline, expired, abandoned.", may_be_empty=True),
        Panel("Broken at replicas", "reqps", (
            (f"sum by (failure) (rate(cloudbase_router_upstream_failures_total{{{ONE}}}[{RATE}]))", "{{failure}}"),
            (f"sum(rate(cloudbase_router_retries_total{{{ONE}}}[{RATE}]))", "sent again"),
        ), "connect, reset, malformed, timeout.", may_be_empty=True),
        Panel("Traffic", "Bps", (
            (f"sum(rate(cloudbase_router_received_bytes_total{{{ONE}}}[{RATE}]))", "from clients"),
            (f"sum(rate(cloudbase_router_sent_bytes_total{{{ONE}}}[{RATE}]))", "to clients"),
        ), "Bodies and heads."),
    ),
    variable="label_values(cloudbase_router_requests_total, function)",
)  # fmt: skip

ROUTER = Dashboard(
    "cloudbase-router",
    "Cloudbase / Router",
    (
        Panel("Routes listed", "short", (("min(cloudbase_router_kube_synced)", "1 = all routers"),), "0: a router has not listed all objects.",
              "stat", 6),
        Panel("Routers that scale", "short", (("sum(cloudbase_router_kube_leading)", "routers"),), "One, always.", "stat", 6),
        Panel("Workers", "short", (("sum(cloudbase_router_workers)", "processes"),), "Processes that move requests.", "stat", 6),
        Panel("Memory", "bytes", (('sum(process_resident_memory_bytes{job=~".*cloudbase.*"})', "resident"),), "Of all routers.", "stat", 6),
        Panel("Clients' connections", "short", (("sum(cloudbase_router_client_connections)", "open"),), "Idle ones included."),
        Panel("Connections accepted", "cps", ((f"sum(rate(cloudbase_router_client_accepted_total[{RATE}]))", "accepted"),),
              "Many for few requests: clients do not keep theirs."),
        Panel("Connections to replicas", "short", (("sum(cloudbase_router_upstream_connections)", "open"),), "Idle ones included."),
        Panel("Refused before a function was known", "reqps", ((f"sum by (status) (rate(cloudbase_router_rejected_total[{RATE}]))", "{{status}}"),),
              "404: no such function; 400, 408, 431: bad or slow heads.", may_be_empty=True),
        Panel("Heard of the API server", "s", (("max by (resource) (cloudbase_router_kube_contact_age_seconds)", "{{resource}}"),),
              "Seconds since the last word; watches are quiet for a minute at most."),
        Panel("Objects", "short", (("max by (resource) (cloudbase_router_kube_objects)", "{{resource}}"),), "Known to a router."),
        Panel("Lists taken", "short", ((f"sum by (resource) (increase(cloudbase_router_kube_relists_total[{RATE}]))", "{{resource}}"),),
              "One a start; more: watches break."),
        Panel("Scale writes", "short", (
            (f"sum(increase(cloudbase_router_kube_wakes_total[{RATE}]))", "wakes"),
            (f"sum(increase(cloudbase_router_kube_resizes_total[{RATE}]))", "resizes"),
            (f"sum(increase(cloudbase_router_kube_cancelled_total[{RATE}]))", "ways down cancelled"),
            (f"sum(increase(cloudbase_router_kube_write_failures_total[{RATE}]))", "failed"),
        ), "Written to Deployments."),
        Panel("CPU", "percentunit", ((f'sum by (instance) (rate(process_cpu_seconds_total{{job=~".*cloudbase.*"}}[{RATE}]))', "{{instance}}"),),
              "Of a core, control process only where workers are processes of their own."),
    ),
)  # fmt: skip

BUILDS = Dashboard(
    "cloudbase-builds",
    "Cloudbase / Builds",
    (
        Panel("Running", "short", (("sum(cloudbase_controller_builds_running)", "builds"),), "Builds that have a place.", "stat", 6),
        Panel("Waiting", "short", (("sum(cloudbase_controller_builds_waiting)", "builds"),), "For a place. Each namespace gets its turn.", "stat", 6),
        Panel("Places", "short", (("max(cloudbase_controller_build_places)", "builds"),), "As many builds at a time: the controller's setting `builds`.",
              "stat", 6),
        Panel("Failures", "percentunit", ((
            f'sum(increase(cloudbase_controller_builds_total{{outcome=~"failed|unavailable"}}[{HOUR}]))'
            f' / sum(increase(cloudbase_controller_builds_total{{outcome!="stopped"}}[{HOUR}]))', "failed"),),
            "Share of the last hour's builds. Nothing where there was none.", "stat", 6),
        Panel("Builds by outcome", "short", ((f"sum by (outcome) (increase(cloudbase_controller_builds_total[{RATE}]))", "{{outcome}}"),),
              "cached: built before. unavailable: failed for a cause that may pass, and is tried again.", width=12, stacked=True),
        Panel("Why builds fail", "short", ((f"sum by (reason) (increase(cloudbase_controller_build_failures_total[{RATE}]))", "{{reason}}"),),
              "docs/builds.md says what each reason means, and whether it is tried again.", width=12, stacked=True, may_be_empty=True),
        Panel("Duration", "s", quantiles("cloudbase_controller_build_duration_seconds", "", 'outcome="succeeded"', HOUR),
              "Of builds that made an image, without the wait for a place. Over an hour: builds are rare.", width=12),
        Panel("Wait for a place", "s", quantiles("cloudbase_controller_build_wait_seconds", "", over=HOUR), "More places shorten it, if nodes have room for them.", width=12),
        Panel("Where the time goes", "short", ((f"sum by (step) (rate(cloudbase_controller_build_step_seconds_total[{RATE}]))", "{{step}}"),),
              "Builds that are at each kind of step, on average. start: until the build's pod runs.", width=12, stacked=True),
        Panel("Places in use", "short", (
            ("sum(cloudbase_controller_builds_running)", "running"), ("sum(cloudbase_controller_builds_waiting)", "waiting"),
            ("max(cloudbase_controller_build_places)", "places"),
        ), "Waiting above zero for long: more places, or look at what takes so long.", width=12),
    ),
)  # fmt: skip

CONTROLLER = Dashboard(
    "cloudbase-controller",
    "Cloudbase / Controller",
    (
        Panel("Controllers that work", "short", (("sum(cloudbase_controller_leading)", "controllers"),), "One, always.", "stat", 6),
        Panel("Functions", "short", (("max(cloudbase_controller_functions)", "functions"),), "Known to the controller.", "stat", 6),
        Panel("Functions not ready", "short", (("max(cloudbase_controller_functions) - max(cloudbase_controller_functions_ready)", "functions"),),
              "Being built or started, or wrong: `kubectl get functions -A` says why.", "stat", 6),
        Panel("Queue", "short", (("sum(cloudbase_controller_workqueue_depth)", "functions"),), "Functions that wait to be looked at. More than a few for long: the API server is slow.",
              "stat", 6),
        Panel("Looks", "ops", ((f"sum by (result) (rate(cloudbase_controller_reconcile_total[{RATE}]))", "{{result}}"),),
              "Comparisons of a function with what is there. Those that end with an error are repeated.", stacked=True),
        Panel("What a look takes", "s", quantiles("cloudbase_controller_reconcile_time_seconds", ""), "With what it writes to the API server."),
        Panel("Wait in the queue", "s", quantiles("cloudbase_controller_workqueue_queue_duration_seconds", ""),
              "From the change to the look. Long: more functions change than it can look at."),
        Panel("Queue and looks under way", "short", (
            ("sum(cloudbase_controller_workqueue_depth)", "waiting"), ("sum(cloudbase_controller_active_workers)", "looked at"),
        ), "Sixteen functions are looked at at a time."),
        Panel("Errors and repetitions", "ops", (
            (f'sum(rate(cloudbase_controller_reconcile_total{{result="error"}}[{RATE}]))', "errors"),
            (f"sum(rate(cloudbase_controller_workqueue_retries_total[{RATE}]))", "repeated"),
        ), "The controller's log and the functions' conditions say what is wrong."),
        Panel("Functions over time", "short", (
            ("max(cloudbase_controller_functions)", "known"), ("max(cloudbase_controller_functions_ready)", "ready"),
        ), "All of them, and those that answer as last asked for."),
        Panel("Requests to the API server", "reqps", ((f"sum by (verb) (rate(cloudbase_controller_api_requests_total[{RATE}]))", "{{verb}}"),),
              "A controller with nothing to do renews its lease and its watches.", width=12, stacked=True),
        Panel("Answers of the API server", "reqps", ((f"sum by (code) (rate(cloudbase_controller_api_requests_total[{RATE}]))", "{{code}}"),),
              "404 and 409 belong to the work. 403: a right is missing; 429: it is overloaded; none: it did not answer.", width=12, stacked=True),
    ),
)  # fmt: skip

DASHBOARDS = (OVERVIEW, FUNCTION, BUILDS, CONTROLLER, ROUTER)


def panels(rows: Iterable[Panel]) -> list[dict[str, Any]]:
    """Side by side while there is room, then below."""
    found: list[dict[str, Any]] = []
    x = y = tallest = 0
    for number, each in enumerate(rows, 1):
        height = 4 if each.kind == "stat" else 8
        if x + each.width > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        found.append(panel(number, each) | {"gridPos": {"x": x, "y": y, "w": each.width, "h": height}})
        x, tallest = x + each.width, max(tallest, height)
    return found


def panel(number: int, each: Panel) -> dict[str, Any]:
    """One panel as Grafana keeps it, without its place."""
    targets = [
        {
            "refId": chr(65 + index),
            "expr": expression,
            "legendFormat": legend,
            "datasource": {"type": "prometheus", "uid": "${source}"},
        }
        for index, (expression, legend) in enumerate(each.queries)
    ]
    custom = {"fillOpacity": 20, "stacking": {"mode": "normal"}} if each.stacked else {}
    options: dict[str, Any] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    if each.kind == "stat":
        options = STAT
    return {
        "id": number,
        "type": each.kind,
        "title": each.title,
        "description": each.description,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "fieldConfig": {"defaults": {"unit": each.unit, "min": 0, "custom": custom}, "overrides": []},
        "options": options,
        "targets": targets,
    }


def page(it: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana keeps it."""
    source: dict[str, Any] = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    choice: dict[str, Any] = {
        "name": "function", "type": "query", "query": it.variable, "refresh": 2, "sort": 1,
        "datasource": {"type": "prometheus", "uid": "${source}"},
    }  # fmt: skip
    return {
        "uid": it.uid,
        "title": it.title,
        "tags": ["cloudbase"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "annotations": {"list": []},
        "templating": {"list": [source, *([choice] if it.variable else [])]},
        "links": [
            {
                "type": "dashboards",
                "tags": ["cloudbase"],
                "title": "Cloudbase",
                "asDropdown": True,
                "icon": "external link",
                "tooltip": "",
                "targetBlank": False,
                "includeVars": False,
                "keepTime": True,
            }
        ],
        "panels": panels(it.panels),
    }


def files() -> dict[str, str]:
    """Every file's name and content."""
    return {f"{it.uid}.json": json.dumps(page(it), indent=1) + "\n" for it in DASHBOARDS}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)
