"""Where the traffic goes back to, and what is said when there is nowhere."""

from __future__ import annotations

import pytest

from controller import rollback
from controller.errors import Conflict, Invalid
from controller.model import Function, FunctionStatus, Revision, Share
from tests.shared.controller_world import spec as some


def revision(number: int, proven: bool = True) -> Revision:
    at = "2026-01-01T00:00:00Z" if proven else ""
    return Revision(name=f"hello-{number:05d}", generation=number, artifact="a", spec=some(), proven_at=at)


KEPT = (revision(1), revision(2), revision(3, proven=False), revision(4))


def hello(routed: str, **fields: object) -> Function:
    return Function(name="hello", spec=some(**fields), status=FunctionStatus(revision=routed))


def test_the_one_before_is_the_youngest_older_one_that_was_ever_ready() -> None:
    assert rollback.spec(hello("hello-00004"), KEPT, "").traffic == (Share(revision="hello-00002", percent=100),)
    assert rollback.spec(hello("hello-00002"), KEPT, "").traffic == (Share(revision="hello-00001", percent=100),)


def test_a_revision_is_named_and_newest_gives_the_traffic_back() -> None:
    back = rollback.spec(hello("hello-00004"), KEPT, "hello-00001")
    assert back.traffic == (Share(revision="hello-00001", percent=100),)
    assert rollback.spec(hello("hello-00001", traffic=back.traffic), KEPT, "newest").traffic == ()


def test_where_there_is_nothing_to_go_back_to_it_says_what_there_is() -> None:
    with pytest.raises(Conflict, match="hello-00001 has the traffic"):
        rollback.spec(hello("hello-00001"), KEPT, "")
    with pytest.raises(Conflict, match="none has the traffic"):
        rollback.spec(hello(""), (), "")
    with pytest.raises(Invalid, match="there are: hello-00001, hello-00002, hello-00003, hello-00004"):
        rollback.spec(hello("hello-00004"), KEPT, "hello-00009")
