"""When the poller has sent what was written in a turn: after some events, before it waits, and until nothing is left."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from router.wire.poller import Poller, SelectorPoller, new_poller


@pytest.fixture(params=[new_poller, SelectorPoller], ids=["of this system", "selectors"])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    made = request.param()
    yield made
    made.close()


class Writer:
    """Something on the poller that writes to an outbox at each event."""

    def __init__(self, outbox: list[Any]) -> None:
        self.outbox = outbox
        self.ours, self.theirs = socket.socketpair()
        self.theirs.send(b"x")

    def on_event(self, events: int) -> None:
        self.ours.recv(1)
        self.outbox.append(self)

    def abort(self) -> None:
        raise AssertionError


def emptying(outbox: list[Any], sent: list[int]) -> Callable[[], None]:
    def send() -> None:
        sent.append(len(outbox))
        outbox.clear()

    return send


def test_what_was_written_before_waiting_is_sent_before_it(poller: Poller) -> None:
    outbox: list[Any] = [1]
    sent: list[int] = []
    poller.send_by(outbox, emptying(outbox, sent))
    poller.select(0.001)
    assert sent == [1]


def test_sending_that_lets_others_write_goes_on_until_all_is_out(poller: Poller) -> None:
    requests: list[Any] = []
    answers: list[Any] = [1]
    sent: list[int] = []

    def answer() -> None:
        requests.append(2)  # a place became free
        answers.clear()

    poller.send_by(requests, emptying(requests, sent))
    poller.send_by(answers, answer)
    poller.select(0.001)
    assert sent == [1]
    assert not requests and not answers


def test_what_a_turn_writes_is_sent_together_and_a_long_turn_in_parts(poller: Poller) -> None:
    outbox: list[Any] = []
    sent: list[int] = []
    poller.send_by(outbox, emptying(outbox, sent))
    writers = [Writer(outbox) for _ in range(100)]
    for writer in writers:
        poller.watch(writer.ours.fileno(), writer)
    poller.select(0.001)
    assert sent == [64, 36]
    for writer in writers:
        poller.close_socket(writer.ours)
        writer.theirs.close()
