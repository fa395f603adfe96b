"""Services whose own address leads to the routers: what they are called, what their slices say, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kube.model import EndpointSlice, ServicePort
from router.kube.annotations import describe
from router.kube.intercept import MOST, Door, differs, doors_of, wanted
from router.kube.model import Translation
from router.kube.settings import KubeSettings, advertised, load
from router.model import RouteKey
from router.options import BadSetting
from tests.shared.kube_objects import KEY, Cluster, endpoint, service, slice_of

PORT = ServicePort("web", 80, 8080)


def front(name: str = "hello", namespace: str = "default", intercept: str = "true", **spec: Any) -> Any:
    usual = {
        "selector": None,
        "ports": (PORT,),
        "annotations": {"intercept": intercept, "backends": f'[{{"service": "{name}-direct"}}]'},
    }
    return service(name, name, namespace, **{**usual, **spec})


def behind(name: str = "hello", namespace: str = "default", **own: str) -> Any:
    return service(f"{name}-direct", None, namespace, annotations={"deployment": name, **own})


def translation(cluster: Cluster, name: str = "hello") -> Translation:
    return cluster.catalog.entries[RouteKey("*", "default", name)].translation


def test_an_intercepted_service_is_meant_by_every_name_that_its_callers_have_for_it() -> None:
    cluster = Cluster()
    cluster.apply(front(), behind(), slice_of(endpoint("10.0.0.1"), of="hello-direct"))
    names = ("hello", "hello.default", "hello.default.svc", "hello.default.svc.cluster.local", "10.96.0.9")
    assert cluster.plane.routes[KEY].hosts == names
    assert cluster.endpoints() == ["10.0.0.1:8080"] and translation(cluster).door == PORT
    assert cluster.told == []


def test_a_dual_stack_service_is_meant_by_its_addresses_of_both_families() -> None:
    cluster = Cluster()
    cluster.apply(front(cluster_ips=("10.96.0.9", "fd00::9")), behind())
    assert cluster.plane.routes[KEY].hosts[-2:] == ("10.96.0.9", "[fd00::9]")


def test_one_that_is_not_intercepted_is_meant_by_its_path_only() -> None:
    for value in ("", "false"):
        cluster = Cluster()
        cluster.apply(service(annotations={"intercept": value} if value else {}))
        assert cluster.plane.routes[KEY].hosts == () and translation(cluster).door is None


def test_a_name_without_namespace_means_nobody_while_two_have_it_and_the_other_again_when_one_goes() -> None:
    cluster = Cluster()
    cluster.apply(front(), behind())
    other = front(namespace="shop", uid="z")
    cluster.apply(other, behind(namespace="shop"))
    assert "hello" not in cluster.plane.routes[KEY].hosts and "hello.default" in cluster.plane.routes[KEY].hosts
    assert any("http://hello without a namespace may mean several" in note for note in cluster.notes())
    cluster.delete(other)
    assert "hello" in cluster.plane.routes[KEY].hosts


def test_names_that_mean_the_router_itself_are_nobodys() -> None:
    cluster = Cluster()
    cluster.apply(front("localhost"), behind("localhost"))
    assert "localhost" not in cluster.plane.routes[RouteKey("*", "default", "localhost")].hosts


def test_the_routers_own_slices_are_never_taken_for_pods() -> None:
    cluster = Cluster()
    body = next(iter(wanted(front(), PORT, [Door("IPv4", "10.1.0.1", 8080)]).values()))
    to_routers = msgspec.convert(body | {"metadata": {**body["metadata"], "name": "r", "namespace": "default"}}, EndpointSlice)
    cluster.apply(service(annotations={"intercept": "joining"}), to_routers, slice_of(endpoint("10.0.0.1")))
    assert cluster.endpoints() == ["10.0.0.1:8080"]


def test_while_it_joins_or_leaves_nothing_sleeps_since_calls_may_go_past_the_router() -> None:
    for intercept, minimum in (("joining", 1), ("leaving", 1), ("true", 0)):
        cluster = Cluster()
        cluster.apply(front(intercept=intercept), behind())
        policy = cluster.plane.routes[KEY].policy
        assert policy is not None and policy.minimum == minimum
        assert (translation(cluster).door is None) == (intercept == "leaving")
        assert cluster.plane.routes[KEY].hosts


SEVERAL = (ServicePort("http", 80, 8080), ServicePort("metrics", 9090, 9090))


@pytest.mark.parametrize(
    ("spec", "words", "taken"),
    [
        ({"cluster_ip": "None"}, "is headless", False),
        ({"type": "ExternalName", "external_name": "example.org"}, "is an ExternalName", False),
        ({"annotations": {"intercept": "true"}}, "has no pods of its own", False),
        ({"ports": (ServicePort("a", 1), ServicePort("b", 2))}, "has the ports a (1), b (2)", False),
        ({"ports": ()}, "has no TCP port", False),
        ({"ports": SEVERAL}, "nobody answers at metrics (9090/TCP)", True),
        ({"selector": {"a": "b"}}, "has a selector", True),
        ({"annotations": {"intercept": "yes"}}, 'must be "true" or "false"', False),
    ],
)
def test_one_that_cannot_be_intercepted_is_told_why(spec: dict[str, Any], words: str, taken: bool) -> None:
    cluster = Cluster()
    cluster.apply(front(**spec), behind(), front("good"), behind("good"))
    assert any(words in note for note in cluster.notes()), cluster.notes()
    assert {name for name, _ in cluster.told} == {"hello"}
    assert bool(cluster.plane.routes[KEY].hosts) == taken == (translation(cluster).door is not None)
    assert translation(cluster, "good").door == PORT


def test_a_bad_value_leaves_it_as_it_was() -> None:
    described, _ = describe({"cloudbase.dev/intercept": "true"}, "hello", None)
    again, faults = describe({"cloudbase.dev/intercept": "ture"}, "hello", described)
    assert again.intercept == "true" and "was 'ture'" in faults[0].note


# --- slices ---


def as_seen(name: str, body: dict[str, Any]) -> EndpointSlice:
    return msgspec.convert(body | {"metadata": {**body["metadata"], "name": name, "namespace": "default"}}, EndpointSlice)


def test_a_slice_leads_from_the_services_port_to_the_routers_and_belongs_to_the_service() -> None:
    [(name, body)] = wanted(front(), PORT, [Door("IPv4", "10.1.0.2", 8080), Door("IPv4", "10.1.0.1", 8080)]).items()
    assert name == "hello-routers-ipv4-8080"
    assert body["ports"] == [{"name": "web", "port": 8080, "protocol": "TCP"}]
    assert [each["addresses"] for each in body["endpoints"]] == [["10.1.0.1"], ["10.1.0.2"]]
    assert body["metadata"]["labels"]["kubernetes.io/service-name"] == "hello"
    assert body["metadata"]["ownerReferences"][0]["uid"] == "uid-default-hello"
    assert not differs(as_seen(name, body), body)


def test_families_and_ports_have_slices_of_their_own_and_none_holds_more_than_100() -> None:
    doors = [Door("IPv4", "10.1.0.1", 8080), Door("IPv6", "fd00::1", 8080), Door("IPv4", "10.1.0.1", 9090)]
    assert {name: len(body["endpoints"]) for name, body in wanted(front(), PORT, doors).items()} == {
        "hello-routers-ipv4-8080": 1, "hello-routers-ipv6-8080": 1, "hello-routers-ipv4-9090": 1,
    }  # fmt: skip
    many = [Door("IPv4", f"10.1.{number // 250}.{number % 250 + 1}", 80) for number in range(300)]
    assert len(next(iter(wanted(front(), PORT, many).values()))["endpoints"]) == MOST


def test_a_slice_differs_by_addresses_conditions_port_or_owner_and_by_nothing_else() -> None:
    doors = [Door("IPv4", "10.1.0.1", 8080)]
    [(name, body)] = wanted(front(), PORT, doors).items()
    seen = as_seen(name, body)
    assert not differs(seen, body)
    others = [
        wanted(front(), PORT, [*doors, Door("IPv4", "10.1.0.2", 8080)]),
        wanted(front(), PORT, [Door("IPv4", "10.1.0.1", 8080, ready=False, serving=True, terminating=True)]),
        wanted(front(), ServicePort("http", 80), doors),
        wanted(front(uid="another"), PORT, doors),
    ]
    assert all(differs(seen, other[name]) for other in others)


def test_the_routers_pods_are_taken_with_their_conditions_each_at_the_port_where_routers_listen() -> None:
    own = slice_of(
        endpoint("10.1.0.1"), endpoint("10.1.0.2", ready=None), endpoint("10.1.0.3", ready=False),
        endpoint("10.1.0.4", ready=False, serving=True, terminating=True), of="routers",
    )  # fmt: skip
    named = slice_of(endpoint("example.org"), of="routers", family="FQDN")
    assert doors_of([own, named], 8000) == [
        Door("IPv4", "10.1.0.1", 8000),
        Door("IPv4", "10.1.0.2", 8000),
        Door("IPv4", "10.1.0.3", 8000, ready=False, serving=False),
        Door("IPv4", "10.1.0.4", 8000, ready=False, serving=True, terminating=True),
    ]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"service": "router"}, "SERVICE must be NAMESPACE/NAME, was 'router'"),
        ({"hold": "soon"}, "--kube-hold must be a number, was 'soon'"),
        ({"hold": "-1"}, "HOLD must be at least 0"),
        ({"admin": "8081"}, 'ADMIN: "8081" is not an address'),
        ({"advertise": "10.1.0.1:80,router:80"}, "ADVERTISE: 'router:80': an EndpointSlice takes IP addresses only"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_what_it_must_be(flags: dict[str, str], words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        load(flags, {})


def test_given_addresses_are_ips_with_a_port_and_the_routers_namespace_is_looked_at_too() -> None:
    assert advertised("10.1.0.1:80") == Door("IPv4", "10.1.0.1", 80)
    assert advertised("[fd00::1]:80") == Door("IPv6", "fd00::1", 80)
    for wrong in ("router:80", "10.1.0.1", "unix:/x"):
        with pytest.raises(BadSetting, match="ADVERTISE"):
            KubeSettings(advertise=(wrong,))
    assert KubeSettings(namespaces=("a",), service="system/router").watched() == ("a", "system")
    assert KubeSettings(namespaces=("a",)).watched() == ("a",)
    assert KubeSettings(service="system/router").watched() == ()
