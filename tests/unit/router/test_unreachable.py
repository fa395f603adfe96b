"""What several cannot reach, taken together."""

from __future__ import annotations

from router.model import RouteKey
from router.unreachable import united

ONE, OTHER = RouteKey("*", "default", "one"), RouteKey("*", "default", "other")


def test_what_one_finds_is_enough_and_the_findings_stay_as_they_are() -> None:
    mine, theirs = {ONE: frozenset({"10.0.0.1:80"})}, {ONE: frozenset({"10.0.0.2:80"}), OTHER: frozenset({"10.0.0.3:80"})}
    assert united([mine, theirs]) == {ONE: {"10.0.0.1:80", "10.0.0.2:80"}, OTHER: {"10.0.0.3:80"}}
    assert united([theirs, mine, {}]) == united([mine, theirs])
    assert mine == {ONE: {"10.0.0.1:80"}} and len(theirs) == 2
    assert united([]) == {}
