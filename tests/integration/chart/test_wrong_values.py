"""Values that cannot work are refused by the schema, before anything is installed, and the refusal names the value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shared.helm import Refused, render

pytestmark = pytest.mark.timeout(400)  # the first one fetches helm where there is none
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown value": ({"ruoter": {}}, "ruoter"),
    "an unknown value of the router": ({"router": {"replica": 2}}, "replica"),
    "no router": ({"router": {"replicas": 0}}, "/router/replicas"),
    "half a router": ({"router": {"replicas": 1.5}}, "/router/replicas"),
    "replicas as text": ({"router": {"replicas": "two"}}, "/router/replicas"),
    "no image": ({"image": {"repository": ""}}, "/image/repository"),
    "an image in capitals": ({"image": {"repository": "Cloudbase/Platform"}}, "/image/repository"),
    "a tag with a space": ({"image": {"tag": "a b"}}, "/image/tag"),
    "a digest cut short": ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
    "a pull policy that is none": ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
    "a pull secret as an object": ({"image": {"pullSecrets": [{"name": "x"}]}}, "/image/pullSecrets/0"),
    "a namespace in capitals": ({"namespaces": ["Team"]}, "/namespaces/0"),
    "a namespace twice": ({"namespaces": ["team", "team"]}, "/namespaces"),
    "a label that is a number": ({"labels": {"a": 1}}, "/labels/a"),
    "a name too long": ({"fullnameOverride": "a" * 41}, "/fullnameOverride"),
    "a negative drain": ({"router": {"drain": {"delay": -1}}}, "/router/drain/delay"),
    "a setting that the router does not have": ({"router": {"settings": {"haedSize": 1}}}, "haedSize"),
    "a setting below its least": ({"router": {"settings": {"headSize": 10}}}, "/router/settings/headSize"),
    "a share above one": ({"router": {"settings": {"accessLog": 2}}}, "/router/settings/accessLog"),
    "a network without its length": ({"router": {"settings": {"trusted": ["10.0.0.0"]}}}, "/router/settings/trusted/0"),
    "a service type that is none": ({"router": {"service": {"type": "Public"}}}, "/router/service/type"),
    "a port that is none": ({"router": {"service": {"port": 70000}}}, "/router/service/port"),
    "memory in words": ({"router": {"resources": {"limits": {"memory": "much"}}}}, "/router/resources/limits/memory"),
    "two routers that share nothing": ({"router": {"replicas": 2}, "redis": {"enabled": False}}, "/redis"),
    "an autoscaler of routers that share nothing": (
        {"router": {"autoscaling": {"enabled": True}}, "redis": {"enabled": False}},
        "/redis",
    ),
    "an autoscaler up to one router": ({"router": {"autoscaling": {"max": 1}}}, "/router/autoscaling/max"),
    "a share of the CPU above all of it": ({"router": {"autoscaling": {"cpu": 120}}}, "/router/autoscaling/cpu"),
    "an autoscaler by a CPU that is not requested": (
        {"router": {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}},
        "/router/resources/requests",
    ),
    "a Redis that is a web page": ({"redis": {"url": "http://redis:6379"}}, "/redis/url"),
    "a registry with a scheme": ({"registry": {"address": "https://registry.example.com"}}, "/registry/address"),
    "a registry's authority that is no PEM": ({"registry": {"ca": "/etc/ssl/ca.crt"}}, "/registry/ca"),
    "builds of no time": ({"builds": {"settings": {"deadline": 1}}}, "/builds/settings/deadline"),
    "no builds at a time": ({"controller": {"settings": {"builds": 0}}}, "/controller/settings/builds"),
    "no controller at all, by number": ({"controller": {"replicas": 0}}, "/controller/replicas"),
    "an address of functions without a scheme": ({"controller": {"url": "functions.example.com"}}, "/controller/url"),
    "an ingress host with a path": ({"ingress": {"hosts": ["a.example.com/fn"]}}, "/ingress/hosts/0"),
    "a certificate without its secret": ({"ingress": {"tls": [{"hosts": ["a.example.com"]}]}}, "/ingress/tls/0"),
    "an HTTPRoute without a gateway": ({"httpRoute": {"enabled": True}}, "/httpRoute/parents"),
    "a peer that is anybody": ({"networkPolicy": {"clients": [{}]}}, "/networkPolicy/clients/0"),
    "an interval in words": ({"metrics": {"serviceMonitor": {"interval": "often"}}}, "/metrics/serviceMonitor/interval"),
    "a variable without a name": ({"router": {"env": [{"value": "1"}]}}, "/router/env/0"),
}


@pytest.mark.parametrize(("values", "named"), WRONG.values(), ids=WRONG)
def test_it_is_refused_and_named(values: dict[str, Any], named: str) -> None:
    with pytest.raises(Refused) as refused:
        render(values)
    assert "values don't meet the specifications of the schema" in str(refused.value)
    assert named in str(refused.value)
