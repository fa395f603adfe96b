"""Which pods go, and how replicas are divided."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.kube.model import Address, Pod, Replicas, Standing
from router.kube.shares import divided
from router.kube.victims import spared, victims


def pod(name: str, ready: bool = True, standing: Standing = "proven", terminating: bool = False) -> Pod:
    return Pod("v1", Address(name, f"{name}:80", ready, terminating), standing)


BUSY = {"a": 3, "b": 0, "c": 1}


def names(pods: list[Pod]) -> list[str]:
    return [each.address.pod for each in pods]


def busy(pod: Pod) -> int:
    return BUSY[pod.address.pod]


def test_the_pods_with_the_least_to_do_go() -> None:
    assert names(victims([pod("a"), pod("b"), pod("c")], 3, 1, busy)) == ["b", "c"]


def test_those_that_were_chosen_before_go_before_any_other() -> None:
    assert names(victims([pod("a", standing="draining"), pod("b"), pod("c")], 3, 2, busy)) == ["a"]


def test_those_that_nobody_can_reach_go_before_any_other_however_much_they_have_to_do() -> None:
    pods = [pod("a"), pod("b"), pod("c", standing="draining")]
    assert names(victims(pods, 3, 2, busy, lambda each: each.address.pod == "a")) == ["a"]
    assert names(victims(pods, 3, 1, busy, lambda each: each.address.pod == "a")) == ["a", "c"]


def test_replicas_that_are_not_ready_go_first_by_themselves() -> None:
    assert names(victims([pod("a"), pod("b"), pod("c", ready=False, standing="")], 3, 2, busy)) == []
    assert names(victims([pod("a"), pod("b")], 4, 1, busy)) == ["b"]


def test_a_pod_that_passed_our_probe_counts_as_ready() -> None:
    assert names(victims([pod("a"), pod("b", ready=False, standing="admitted")], 2, 1, busy)) == ["b"]


def test_nothing_goes_on_the_way_up() -> None:
    assert victims([pod("a"), pod("b")], 2, 5, busy) == []


def test_spared_are_pods_that_we_took_out_and_kubernetes_did_not_take() -> None:
    pods = [pod("a"), pod("b", standing="shut"), pod("c", standing="draining"), pod("d", standing="shut", terminating=True)]
    assert names(spared(pods)) == ["b", "c"]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6), st.integers(0, 1000))
def test_every_weighted_deployment_gets_its_part_and_one_at_least_while_the_route_is_awake(
    weights: list[int], replicas: int
) -> None:
    parts = divided(replicas, [Replicas("ns", f"d{number}", f"v{number}", weight) for number, weight in enumerate(weights)])
    assert [each.weight for each, _ in parts] == [weight for weight in weights if weight]
    counts = [count for _, count in parts]
    if parts:
        assert replicas <= sum(counts) < replicas + len(parts)
        assert all((count > 0) == (replicas > 0) for count in counts)
        heaviest = max(parts, key=lambda part: part[0].weight)
        assert heaviest[1] == max(counts)
