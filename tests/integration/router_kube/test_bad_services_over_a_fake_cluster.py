"""Everything that can be wrong with a Service at once: each owner reads it in an Event, and the good route stays."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from kube.resource import ENDPOINT_SLICES, EVENTS, SERVICES
from router.model import RouteKey
from tests.integration.router_kube.cluster_stage import Stage, on_stage
from tests.shared.waiting import until

PREFIX = "cloudbase.dev/"
TWO_PORTS = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]

# name: label, annotations, spec, reason and words of the Event
BAD: dict[str, tuple[str, dict[str, str], dict[str, Any], str, str]] = {
    "no-dns-label": ("Shop_1", {}, {}, "BadLabel", "'Shop_1' is no DNS label"),
    "label-with-dot": ("a.b", {}, {}, "BadLabel", "'a.b' is no DNS label"),
    "taken": ("good", {}, {}, "RouteTaken", "is already that of Service default/good"),
    "min-above-max": (
        "x1",
        {"deployment": "x", "scale-min": "5", "scale-max": "2"},
        {},
        "BadAnnotation",
        "maximum must be at least 1 and the minimum",
    ),
    "no-target": ("x2", {"scale-target": "0"}, {}, "BadAnnotation", "target must be above 0"),
    "no-metric": ("x3", {"scale-metric": "cpu"}, {}, "BadAnnotation", "metric must be concurrency or rps, was 'cpu'"),
    "no-windows": ("x4", {"scale-panic-window": "90"}, {}, "BadAnnotation", "panic_window <= stable_window"),
    "no-number": ("x5", {"timeout": "soon"}, {}, "BadAnnotation", "timeout: must be a number, was 'soon'"),
    "no-json": ("x6", {"backends": "hello"}, {}, "BadAnnotation", "backends: is not JSON"),
    "no-probe": ("x7", {"readiness-probe": '{"exec": {}}'}, {}, "BadAnnotation", "must have one of httpGet, tcpSocket and grpc"),
    "misspelt": ("x8", {"scale-mim": "1"}, {}, "BadAnnotation", "did you mean cloudbase.dev/scale-min?"),
    "no-backend": ("x9", {"backends": '[{"service": "nobody"}]'}, {}, "NoBackend", "backend nobody: there is no such Service"),
    "no-selector": ("x10", {}, {"selector": None}, "NoAddresses", "has no selector, and there is no EndpointSlice for it"),
    "headless": ("x11", {}, {"clusterIP": "None", "ports": None}, "BadPort", "is headless and names no port"),
    "external": (
        "x12",
        {},
        {"type": "ExternalName", "externalName": "a.example"},
        "NoAddresses",
        "is an ExternalName (a.example)",
    ),
    "several-ports": ("x13", {}, {"ports": TWO_PORTS}, "BadPort", "has the ports a (80), b (81): say in the annotation"),
    "no-such-port": ("x14", {"port": "web"}, {}, "BadPort", "has no TCP port 'web', which its annotation"),
    "only-udp": ("x15", {}, {"ports": [{"port": 53, "protocol": "UDP"}]}, "BadPort", "has no TCP port"),
    "no-deployment-word": ("x16", {"scaling": "off"}, {}, "BadAnnotation", 'must be "router" or "external"'),
    "no-interception": ("x17", {"intercept": "true"}, {"clusterIP": "None"}, "NotIntercepted", "is headless"),
}


async def add(stage: Stage, name: str, label: str, given: dict[str, str], spec: dict[str, Any]) -> None:
    own = {PREFIX + key: value for key, value in given.items()}
    meta = {"name": name, "labels": {PREFIX + "route": label}, "annotations": own}
    usual = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    whole = {key: value for key, value in {**usual, **spec}.items() if value is not None}
    await stage.create(SERVICES, {"metadata": meta, "spec": whole})


def test_each_owner_is_told_in_an_event_and_no_other_route_is_disturbed() -> None:
    async def scenario(stage: Stage) -> None:
        await add(stage, "good", "good", {}, {})
        slices = {"name": "good-1", "labels": {"kubernetes.io/service-name": "good"}}
        body = {"metadata": slices, "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [{"addresses": ["10.0.0.1"]}]}
        await stage.create(ENDPOINT_SLICES, body)
        good = RouteKey("*", "default", "good")
        await until(lambda: good in stage.plane.routes and bool(stage.plane.routes[good].backends[0].endpoints))
        before = stage.plane.routes[good]
        await asyncio.sleep(1.01 - time.time() % 1)  # creationTimestamp has whole seconds; the older has the name
        for name, (label, own, spec, _, _) in BAD.items():
            await add(stage, name, label, own, spec)
        told: dict[str, list[tuple[str, str]]] = {}
        async with asyncio.timeout(60):
            while missing := [name for name, (*_, reason, words) in BAD.items() if not said(told.get(name, []), reason, words)]:
                await stage.control.events.flush()
                told = {}
                for event in await stage.client.list(EVENTS):
                    told.setdefault(event["regarding"]["name"], []).append((event["reason"], event["note"]))
                await asyncio.sleep(0.05)
        assert not missing and "good" not in told
        assert stage.plane.routes[good] is before
        settings = stage.plane.routes[RouteKey("*", "default", "x5")].settings
        assert settings.timeout == 60.0  # the default goes on
        assert stage.plane.routes[RouteKey("*", "default", "x1")].policy is None  # what is not understood is not scaled

    on_stage(scenario)


def said(told: list[tuple[str, str]], reason: str, words: str) -> bool:
    return any(each == reason and words in note for each, note in told)
