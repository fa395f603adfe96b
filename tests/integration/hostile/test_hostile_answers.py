"""What a caller sees of a function that answers wrongly: 502 before the head was passed on, a broken-off connection after, never a lie."""

from __future__ import annotations

import pytest

from tests.integration.hostile.hostile_answers import CASES, Answer
from tests.integration.hostile.hostile_client import Client, Response
from tests.integration.hostile.hostile_functions import Answerer


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_a_hostile_answer_never_becomes_a_wrong_one(number: int, answering_router: int, answerer: Answerer) -> None:
    case = CASES[number]
    with Client(answering_router) as client:
        client.send(case.request % (b"/fn/a/case/%d" % number))
        interim, response = responses(client, case)
        assert response.status == case.status
        assert interim == case.interim
        assert response.whole == (case.outcome == "whole")
        assert case.body is None or response.body == case.body
        assert all(response[name] == value for name, value in case.has.items())
        assert not {name for name, _ in response.fields} & set(case.lacks)
        assert client.closed() if case.outcome == "cut" else b"X-Evil" not in client.buffer
    probe(answering_router, b"/probe/%d" % number)
    again = answerer.came_by[b"/probe/%d" % number] == answerer.came_by[b"/case/%d" % number]
    assert again == case.reused


def responses(client: Client, case: Answer) -> tuple[tuple[int, ...], Response]:
    """The interim responses, and the final one."""
    interim: list[int] = []
    while True:
        response = client.response(case.request.split(b" ", 1)[0])
        assert response is not None, "no response"
        if response.status >= 200:
            return tuple(interim), response
        interim.append(response.status)


def probe(port: int, path: bytes) -> None:
    """One good request, which shows what became of the function's connection."""
    with Client(port) as client:
        client.send(b"GET /fn/a" + path + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        response = client.response()
        assert response is not None and (response.status, response.body) == (200, b"ok")


def test_the_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
