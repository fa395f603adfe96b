"""Which replicas nobody can reach, and how many more are asked for in their place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.kube.model import Described, Translation
from router.kube.reach import Reach, covered
from router.model import Backend, Endpoint, Route, RouteKey, Settings
from tests.shared.kube_objects import KEY

numbers = st.integers(0, 50)


def translation(*endpoints: Endpoint, weight: int = 100) -> Translation:
    return Translation(Route(KEY, (Backend("v1", endpoints, weight),), Settings(), None), Described((), Settings(), None, None))


def test_one_router_that_cannot_reach_an_address_is_enough_and_none_is_when_all_can_again() -> None:
    reach = Reach()
    reach.note({KEY: frozenset({"a:1"})}, [{KEY: frozenset({"b:1"})}, {}])
    assert reach.count() == 2 and reach.lost(KEY, "a:1") and reach.lost(KEY, "b:1")
    assert reach.lost_here(KEY, "a:1") and not reach.lost_here(KEY, "b:1")
    assert not reach.lost(KEY, "c:1") and not reach.lost(RouteKey("*", "default", "other"), "a:1")
    reach.note({}, [{}])
    assert reach.count() == 0 and not reach.lost(KEY, "a:1")


def test_missing_are_only_those_that_would_take_new_requests() -> None:
    reach = Reach()
    reach.note({KEY: frozenset({"a:1", "b:1", "gone:1"})})
    assert reach.missing(translation(Endpoint("a:1"), Endpoint("b:1", draining=True), Endpoint("c:1"))) == 1
    assert reach.missing(translation(Endpoint("a:1"), weight=0)) == 0


def test_as_many_more_are_asked_for_as_cannot_be_reached() -> None:
    assert covered(2, 10, 1, 1) == 3
    assert covered(2, 10, 2, 1) == 3  # the replacement is there: the lost one is still counted by Kubernetes
    assert covered(4, 10, 4, 2) == 6
    assert covered(1, 10, 0, 1) == 2


def test_where_more_can_be_reached_than_are_wanted_nothing_is_replaced() -> None:
    assert covered(2, 10, 3, 1) == 2


def test_never_above_the_maximum_and_a_number_above_it_stays() -> None:
    assert covered(2, 3, 0, 2) == 3
    assert covered(3, 3, 2, 1) == 3
    assert covered(3, 0, 2, 1) == 3


def test_a_router_that_reaches_nobody_doubles_a_function_once_and_no_more() -> None:
    replicas = 3
    for _ in range(10):  # what is written comes, and cannot be reached either
        replicas = covered(3, 100, 0, replicas)
    assert replicas == 6


def test_on_the_way_to_zero_nothing_is_replaced() -> None:
    assert covered(0, 10, 0, 3) == 0


@given(numbers, numbers, numbers, numbers)
def test_it_is_never_less_than_wanted_nor_more_than_double_nor_because_of_it_above_the_maximum(
    replicas: int, most: int, reachable: int, unreachable: int
) -> None:
    written = covered(replicas, most, reachable, unreachable)
    assert replicas <= written <= max(replicas, min(most, 2 * replicas))
    assert written == replicas or unreachable
