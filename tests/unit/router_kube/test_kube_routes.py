"""Services and slices as routes: what is routed where, what is told to whom, and what happens when things vanish."""

from __future__ import annotations

import pytest

from kube.cache import Delta, Key
from kube.model import EndpointPort, Metadata, ObjectMeta, ServicePort
from router.kube.model import Address
from router.model import Backend, Endpoint, Route, RouteKey
from tests.shared.kube_objects import KEY, NEW, OLD, Cluster, endpoint, service, slice_of

NAMED = (ServicePort("web", 80, "web"), ServicePort("metrics", 9090, 9090))


def test_a_labelled_service_is_a_route_to_its_ready_pods() -> None:
    cluster = Cluster()
    cluster.apply(service(), slice_of(endpoint("10.0.0.1"), endpoint("10.0.0.2", ready=None), endpoint("10.0.0.3", ready=False)))
    assert cluster.endpoints() == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert cluster.plane.routes[KEY].policy is None  # no Deployment is named: nothing to scale
    assert cluster.told == []


def test_a_service_without_the_label_is_none_and_one_that_loses_it_is_gone_at_once() -> None:
    cluster = Cluster()
    cluster.apply(service(route=None), slice_of(endpoint("10.0.0.1")))
    assert cluster.plane.routes == {}
    cluster.apply(service())
    assert KEY in cluster.plane.routes
    cluster.apply(service(route=None))
    assert cluster.plane.routes == {}


def test_a_terminating_pod_that_still_serves_is_for_when_nothing_else_is_left() -> None:
    cluster = Cluster()
    going = endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
    gone = endpoint("10.0.0.2", ready=False, serving=False, terminating=True)
    cluster.apply(service(), slice_of(going, gone, endpoint("10.0.0.3")))
    assert cluster.endpoints() == ["~10.0.0.1:8080", "10.0.0.3:8080"]


def test_a_change_of_one_slice_touches_its_routes_only() -> None:
    cluster = Cluster()
    cluster.apply(service(), service("other", "other"))
    cluster.plane.puts.clear()
    cluster.apply(slice_of(endpoint("10.0.0.1")))
    assert [route.key for route in cluster.plane.puts] == [KEY]
    cluster.plane.puts.clear()
    cluster.apply(slice_of(endpoint("10.0.0.1")))
    assert cluster.plane.puts == []


def test_a_slice_that_goes_takes_its_addresses_along() -> None:
    cluster = Cluster()
    one, two = slice_of(endpoint("10.0.0.1"), name="a"), slice_of(endpoint("10.0.0.2"), name="b")
    cluster.apply(service(), one, two)
    cluster.delete(one)
    assert cluster.endpoints() == ["10.0.0.2:8080"]


def test_a_slice_that_changes_its_service_goes_from_one_route_to_the_other() -> None:
    cluster = Cluster()
    cluster.apply(service(), service("other", "other"), slice_of(endpoint("10.0.0.1"), name="s"))
    cluster.apply(slice_of(endpoint("10.0.0.1"), name="s", of="other"))
    assert cluster.endpoints() == []
    assert cluster.endpoints(RouteKey("*", "default", "other")) == ["10.0.0.1:8080"]


def test_backends_of_other_services_share_by_weight_and_follow_their_own_slices() -> None:
    cluster = Cluster()
    cluster.apply(
        service(annotations={"backends": '[{"service": "v1", "weight": 90}, {"service": "v2", "weight": 10}]'}),
        service("v1", None, annotations={"deployment": "v1"}),
        service("v2", None),
        slice_of(endpoint("10.0.0.1"), of="v1"),
        slice_of(endpoint("10.0.0.2"), of="v2"),
        slice_of(endpoint("10.0.0.9")),
    )
    assert cluster.plane.routes[KEY].backends == (
        Backend("v1", (Endpoint("10.0.0.1:8080"),), 90),
        Backend("v2", (Endpoint("10.0.0.2:8080"),), 10),
    )
    assert [each.deployment for each in cluster.catalog.entries[KEY].translation.replicas] == ["v1"]
    cluster.apply(slice_of(endpoint("10.0.0.3"), of="v2"))
    assert cluster.endpoints() == ["10.0.0.1:8080", "10.0.0.3:8080"]


def test_a_backend_that_does_not_exist_is_told_and_the_others_go_on_until_it_does() -> None:
    cluster = Cluster()
    cluster.apply(service(annotations={"backends": '[{"service": "hello"}, {"service": "v2"}]'}), slice_of(endpoint("10.0.0.1")))
    assert cluster.endpoints() == ["10.0.0.1:8080"]
    assert cluster.notes() == ["backend v2: there is no such Service in this namespace"]
    cluster.apply(service("v2", None), slice_of(endpoint("10.0.0.2"), of="v2"))
    assert cluster.endpoints() == ["10.0.0.1:8080", "10.0.0.2:8080"]


def test_a_backend_of_the_same_name_in_another_namespace_is_none() -> None:
    cluster = Cluster()
    cluster.apply(service(annotations={"backends": '[{"service": "v2"}]'}), service("v2", None, "elsewhere"))
    cluster.apply(slice_of(endpoint("10.0.0.2"), of="v2", namespace="elsewhere"))
    assert cluster.endpoints() == []


# --- bad input ---


@pytest.mark.parametrize(
    ("spec", "ports", "words"),
    [
        ({"ports": (*NAMED, ServicePort("x", 1))}, None, "has the ports web (80), metrics (9090), x (1): say in the annotation"),
        ({"ports": NAMED, "annotations": {"port": "grpc"}}, None, "no TCP port 'grpc'"),
        (
            {"ports": NAMED, "annotations": {"port": "web"}},
            (EndpointPort("metrics", 9090),),
            "no pod has the container port 'web'",
        ),
        ({"ports": (ServicePort("", 53, 53, "UDP"),)}, None, "has no TCP port"),
        ({"ports": None, "cluster_ip": "None"}, None, "is headless and names no port"),
        ({"type": "ExternalName", "external_name": "example.org"}, None, "is an ExternalName (example.org)"),
    ],
)
def test_a_service_that_cannot_be_routed_to_is_told_why(
    spec: dict[str, object], ports: tuple[EndpointPort, ...] | None, words: str
) -> None:
    cluster = Cluster()
    cluster.apply(service("good", "good"), slice_of(endpoint("10.0.0.8"), of="good"))
    cluster.apply(slice_of(endpoint("10.0.0.1"), ports=ports or (EndpointPort("", 8080),)), service(**spec))
    assert [name for name, _ in cluster.told] == ["hello"]
    assert words in cluster.notes()[0]
    assert cluster.endpoints() == []
    assert cluster.endpoints(RouteKey("*", "default", "good")) == ["10.0.0.8:8080"]


def test_a_service_without_selector_needs_slices_by_hand() -> None:
    cluster = Cluster()
    cluster.apply(service(selector=None))
    assert "has no selector, and there is no EndpointSlice" in cluster.notes()[0]
    cluster.apply(slice_of(endpoint("192.0.2.1")))
    assert cluster.endpoints() == ["192.0.2.1:8080"] and len(cluster.told) == 1


def test_a_headless_service_is_like_any_other_and_one_without_ports_says_where_its_pods_listen() -> None:
    cluster = Cluster()
    cluster.apply(service(cluster_ip="None"), slice_of(endpoint("10.0.0.1")))
    assert cluster.endpoints() == ["10.0.0.1:8080"]
    cluster.apply(
        service(cluster_ip="None", ports=None, annotations={"port": "9000"}), slice_of(endpoint("10.0.0.1"), ports=None)
    )
    assert cluster.endpoints() == ["10.0.0.1:9000"]


def test_of_several_ports_the_one_called_http_or_the_annotated_one_is_taken() -> None:
    cluster = Cluster()
    both = (EndpointPort("http", 8080), EndpointPort("admin", 9090))
    ports = (ServicePort("admin", 90, 9090), ServicePort("http", 80, 8080))
    cluster.apply(service(ports=ports), slice_of(endpoint("10.0.0.1"), ports=both))
    assert cluster.endpoints() == ["10.0.0.1:8080"]
    for named in ("admin", "90"):
        cluster.apply(service(ports=ports, annotations={"port": named}))
        assert cluster.endpoints() == ["10.0.0.1:9090"]
    assert cluster.told == []


def test_a_dual_stack_pod_counts_once_by_its_ipv4_address() -> None:
    cluster = Cluster()
    four, six = endpoint("10.0.0.1"), endpoint("fd00::1")
    six = type(six)(six.addresses, six.conditions, four.target_ref)
    cluster.apply(service(), slice_of(six, name="six", family="IPv6"), slice_of(four, name="four"))
    assert cluster.endpoints() == ["10.0.0.1:8080"]
    cluster.delete(slice_of(four, name="four"))
    assert cluster.endpoints() == ["[fd00::1]:8080"]


def test_slices_of_names_are_left_out() -> None:
    cluster = Cluster()
    cluster.apply(service(), slice_of(endpoint("host.example.org"), family="FQDN"))
    assert cluster.endpoints() == []


@pytest.mark.parametrize("label", ["Hello", "a.b", "a_b", "", "x" * 64, "-a"])
def test_a_label_that_is_no_dns_label_is_told(label: str) -> None:
    cluster = Cluster()
    cluster.apply(service(route=label))
    assert cluster.plane.routes == {}
    assert cluster.told[0][1].reason == "BadLabel" and repr(label) in cluster.notes()[0]


def test_a_fault_is_told_once_and_again_when_it_came_back() -> None:
    cluster = Cluster()
    bad, good = service(annotations={"timeout": "x"}), service(annotations={"timeout": "5"})
    cluster.apply(bad, slice_of(endpoint("10.0.0.1")), bad)
    assert len(cluster.told) == 1
    cluster.apply(good)
    assert cluster.plane.routes[KEY].settings.timeout == 5.0
    cluster.apply(bad)
    assert len(cluster.told) == 2
    assert cluster.plane.routes[KEY].settings.timeout == 5.0
    cluster.catalog.retell()
    assert len(cluster.told) == 3


# --- who has the name ---


def test_the_older_service_has_the_key_and_the_other_is_told_and_follows() -> None:
    cluster = Cluster()
    old, new = service("b", "hello", created=OLD), service("a", "hello", created=NEW)
    cluster.apply(new, slice_of(endpoint("10.0.0.1"), of="a"), slice_of(endpoint("10.0.0.2"), of="b"))
    assert cluster.endpoints() == ["10.0.0.1:8080"]
    cluster.apply(old)
    assert cluster.endpoints() == ["10.0.0.2:8080"]
    assert [(name, fault.reason) for name, fault in cluster.told] == [("a", "RouteTaken")]
    cluster.delete(old)
    assert cluster.endpoints() == ["10.0.0.1:8080"]


def test_of_two_of_one_second_the_smaller_uid_has_the_key_whoever_came_first() -> None:
    pair = [service("a", "hello", uid="2"), service("b", "hello", uid="1")]
    for order in (pair, pair[::-1]):
        cluster = Cluster()
        cluster.apply(slice_of(endpoint("10.0.0.1"), of="a"), slice_of(endpoint("10.0.0.2"), of="b"), *order)
        assert cluster.endpoints() == ["10.0.0.2:8080"]
        assert cluster.told[-1][0] == "a"


def test_a_namespaces_project_is_a_part_of_the_key_and_two_projects_do_not_conflict() -> None:
    cluster = Cluster()
    team = Metadata(ObjectMeta("team", labels={"cloudbase.dev/project": "blue"}))
    cluster.apply(service(), service(namespace="team"))
    assert [fault.reason for _, fault in cluster.told] == ["RouteTaken"]
    cluster.apply(team)
    assert set(cluster.plane.routes) == {KEY, RouteKey("*", "blue", "hello")}
    cluster.delete(team)
    assert set(cluster.plane.routes) == {KEY}


# --- coming and going ---


def test_before_the_first_sync_nothing_is_routed_and_then_everything_at_once() -> None:
    cluster = Cluster(complete=False)
    cluster.apply(service())
    assert cluster.plane.is_starting and cluster.plane.routes == {}
    cluster.apply(slice_of(endpoint("10.0.0.1")))
    cluster.catalog.complete()
    assert not cluster.plane.is_starting
    assert len(cluster.plane.puts) == 1 and cluster.endpoints() == ["10.0.0.1:8080"]


def test_a_route_whose_service_vanishes_is_held_for_ten_seconds_with_its_last_pods() -> None:
    cluster = Cluster()
    one, pods = service(), slice_of(endpoint("10.0.0.1"))
    cluster.apply(one, pods)
    cluster.delete(one, pods)
    cluster.clock.advance(9.9)
    assert cluster.endpoints() == ["10.0.0.1:8080"]
    cluster.clock.advance(0.2)
    assert cluster.plane.routes == {}


def test_a_service_that_comes_back_in_time_goes_on_and_is_not_removed_later() -> None:
    cluster = Cluster()
    cluster.apply(service(), slice_of(endpoint("10.0.0.1")))
    cluster.delete(service())
    cluster.clock.advance(5)
    cluster.apply(service(uid="another"))
    cluster.clock.advance(20)
    assert cluster.endpoints() == ["10.0.0.1:8080"]


def test_a_service_that_was_marked_as_retired_goes_at_once() -> None:
    cluster = Cluster()
    cluster.apply(service(annotations={"retired": "true"}))
    assert KEY in cluster.plane.routes
    cluster.delete(service())
    assert cluster.plane.routes == {}


def test_a_mark_that_comes_with_the_end_in_one_batch_counts_and_is_forgotten_when_the_service_is_there_again() -> None:
    cluster = Cluster()
    cluster.apply(service(), slice_of(endpoint("10.0.0.1")))
    before, marked = service(), service(annotations={"retired": "true"})
    key = Key(before.metadata.namespace, before.metadata.name)
    cluster.catalog.service_changed(Delta("modified", key, before, marked))
    cluster.catalog.service_changed(Delta("deleted", key, marked, None))
    cluster.clock.advance()
    assert cluster.plane.routes == {}
    cluster.apply(service(uid="another"))
    cluster.delete(service(uid="another"))
    assert KEY in cluster.plane.routes  # nobody said that this one goes for good


def test_routes_of_a_snapshot_serve_until_the_cluster_is_known_and_those_it_has_not_are_let_go() -> None:
    before = Cluster()
    before.apply(service(), service("gone", "gone"), slice_of(endpoint("10.0.0.1")))
    cluster = Cluster(complete=False)
    cluster.catalog.restore(before.catalog.routes())
    assert cluster.endpoints() == ["10.0.0.1:8080"] and cluster.plane.is_starting
    cluster.apply(service(), slice_of(endpoint("10.0.0.2")))
    assert cluster.endpoints() == ["10.0.0.1:8080"]
    cluster.catalog.complete()
    assert cluster.endpoints() == ["10.0.0.2:8080"]
    assert len(cluster.plane.routes) == 2
    cluster.clock.advance(10.1)
    assert set(cluster.plane.routes) == {KEY}


# --- what we find and decide ourselves ---


def pod(number: int, ready: bool = False) -> Address:
    return Address(f"pod-10.0.0.{number}", f"10.0.0.{number}:8080", ready)


def test_a_pod_that_passed_our_probe_serves_before_the_kubelet_says_so() -> None:
    cluster = Cluster()
    cluster.apply(
        service(annotations={"readiness-probe": '{"tcpSocket": {"port": 1}}'}), slice_of(endpoint("10.0.0.1", ready=False))
    )
    assert cluster.endpoints() == []
    assert [each.address for each in cluster.catalog.entries[KEY].translation.pending] == [pod(1)]
    assert cluster.plane.notes == [("scheduled", KEY)]
    cluster.catalog.stand("default", "hello", pod(1), "admitted")
    cluster.clock.advance()
    assert cluster.endpoints() == ["10.0.0.1:8080"]
    assert cluster.catalog.entries[KEY].translation.pending == ()


def test_a_pod_that_was_ready_and_is_not_any_more_is_never_asked_by_us_again() -> None:
    cluster = Cluster()
    probed = service(annotations={"readiness-probe": '{"tcpSocket": {"port": 1}}'})
    cluster.apply(probed, slice_of(endpoint("10.0.0.1", ready=False)))
    cluster.catalog.stand("default", "hello", pod(1), "admitted")
    cluster.apply(slice_of(endpoint("10.0.0.1")))
    cluster.apply(slice_of(endpoint("10.0.0.1", ready=False)))
    assert cluster.endpoints() == []
    assert cluster.catalog.entries[KEY].translation.pending == ()
    cluster.apply(slice_of(endpoint("10.0.0.1")))
    assert cluster.endpoints() == ["10.0.0.1:8080"]


def test_another_pod_with_the_same_address_begins_anew() -> None:
    cluster = Cluster()
    cluster.apply(service(), slice_of(endpoint("10.0.0.1")))
    cluster.catalog.stand("default", "hello", pod(1), "shut")
    cluster.clock.advance()
    assert cluster.endpoints() == []
    cluster.apply(slice_of())
    cluster.apply(slice_of(endpoint("10.0.0.1")))
    assert cluster.endpoints() == ["10.0.0.1:8080"]


def test_a_pod_that_is_drained_stays_for_when_nothing_else_is_left_and_a_shut_one_takes_nothing_even_while_it_ends() -> None:
    cluster = Cluster()
    cluster.apply(service(), slice_of(endpoint("10.0.0.1"), endpoint("10.0.0.2")))
    cluster.catalog.stand("default", "hello", pod(1), "draining")
    cluster.catalog.stand("default", "hello", pod(2), "shut")
    cluster.clock.advance()
    assert cluster.endpoints() == ["~10.0.0.1:8080"]
    ending = endpoint("10.0.0.2", ready=False, serving=True, terminating=True)
    cluster.apply(slice_of(endpoint("10.0.0.1"), ending))
    assert cluster.endpoints() == ["~10.0.0.1:8080"]
    cluster.catalog.stand("default", "hello", pod(1), "proven")
    cluster.clock.advance()
    assert cluster.endpoints() == ["10.0.0.1:8080"]


def test_who_is_told_of_changes_hears_of_a_routes_end() -> None:
    cluster = Cluster()
    cluster.apply(service())
    cluster.delete(service())
    assert [translation is None for _, translation in cluster.changes] == [False, True]
    assert cluster.changes[-1][0] == KEY


def test_a_relist_of_everything_leaves_the_table_as_a_fresh_start_has_it() -> None:
    first, again = Cluster(), Cluster(complete=False)
    objects = [service(f"s{n}", f"s{n}") for n in range(20)] + [slice_of(endpoint(f"10.0.0.{n}"), of=f"s{n}") for n in range(20)]
    first.apply(*objects)
    first.apply(*objects)
    again.apply(*reversed(objects))
    again.catalog.complete()
    assert first.plane.routes == again.plane.routes and len(first.plane.routes) == 20
    assert all(isinstance(route, Route) for route in first.plane.routes.values())
