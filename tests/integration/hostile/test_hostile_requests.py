"""What a hostile client gets, and what of it the function sees: nothing, or exactly the messages that it should."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from tests.integration.hostile import hostile_bodies, hostile_fields, hostile_heads, hostile_hops
from tests.integration.hostile.hostile_cases import Case, Seen, head
from tests.integration.hostile.hostile_client import WAIT, Client, Response
from tests.integration.hostile.hostile_functions import Message, Recorder

CASES = [*hostile_heads.CASES, *hostile_bodies.CASES, *hostile_fields.CASES, *hostile_hops.CASES]
barrier = itertools.count()


def settle(port: int) -> None:
    """Wait until the function has read everything that the router sent it so far."""
    with Client(port) as client:
        client.send(head(start=b"GET /fn/f/barrier/%d HTTP/1.1" % next(barrier)))
        response = client.response()
        assert response is not None and response.status == 200


def fits(message: Message, seen: Seen) -> bool:
    """Is the message what it should be?"""
    names = [name.decode() for name, _ in message.fields]
    return (
        (message.method, message.target, message.body) == (seen.method, seen.target, seen.body)
        and not set(names) & set(seen.lacks)
        and all([value for name, value in message.fields if name == key.encode()] == [wanted] for key, wanted in seen.has.items())
    )


def method_of(case: Case) -> bytes:
    """The method of the case's request."""
    return case.send.lstrip(b"\r\n").split(b" ", 1)[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_request_is_answered_as_specified_and_the_function_sees_no_more(
    case: Case, recording_router: int, recorder: Recorder, secret: Recorder
) -> None:
    recorder.messages.clear()
    recorder.violations.clear()
    with Client(recording_router) as client:
        client.send(case.send, case.fin)
        responses = list(answers(client, case))
        got = tuple(response.status for response in responses)
        expected = {case.statuses, *((*case.statuses[:-1], other) for other in case.either)}
        assert got in expected
        assert all(map(dated, (response for response in responses if response.status != 200)))
        assert set(case.fields) <= set(responses[-1].fields if responses else ())
        assert client.closed() if case.closed else serves_on(client)
    settle(recording_router)
    seen = [message for message in recorder.messages if message.target != b"/again"]
    assert recorder.violations == []
    assert len(seen) == len(case.seen), seen
    assert all(map(fits, seen, case.seen)), seen
    assert secret.messages == [] and secret.violations == []


def dated(response: Response) -> bool:
    """Has this answer of the router's own the time of now (RFC 9110 6.6.1)?"""
    (date,) = (value for name, value in response.fields if name == "date")
    return abs(parsedate_to_datetime(date.decode()).timestamp() - time.time()) < WAIT


def answers(client: Client, case: Case) -> Iterator[Response]:
    """The responses: as many as are expected of a connection that goes on, all of one that ends."""
    for number in itertools.count():
        if not case.closed and number == len(case.statuses):
            return
        response = client.response(method_of(case))
        if response is None:
            return
        yield response


def serves_on(client: Client) -> bool:
    """Does the connection serve one more request?"""
    client.send(head(start=b"GET /fn/f/again HTTP/1.1"))
    response = client.response()
    return response is not None and response.status == 200 and response.body == b"ok"


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
