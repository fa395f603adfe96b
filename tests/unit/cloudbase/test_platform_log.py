"""The platform's log, for people and for programs."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from cloudbase import logformat


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []  # basicConfig(force=True) closes what it finds, and pytest's own must live
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_outside_a_terminal_each_line_is_one_json_object() -> None:
    stream = io.StringIO()
    logformat.start("auto", "info", stream)
    logging.getLogger("autoscaler").info("%s: %d -> %d (%s)", "hello", 0, 1, "a request waits")
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("info", "autoscaler", "hello: 0 -> 1 (a request waits)")


def test_for_people_a_line_is_the_time_and_the_sentence() -> None:
    stream = io.StringIO()
    logformat.start("human", "info", stream)
    logging.getLogger("x").warning("beware")
    logging.getLogger("x").debug("not seen")
    assert stream.getvalue()[8:] == " WARNING beware\n"


def test_a_traceback_stays_within_its_line_of_json() -> None:
    stream = io.StringIO()
    logformat.start("json", "info", stream)
    try:
        raise RuntimeError("why")
    except RuntimeError:
        logging.getLogger("x").exception("it broke")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["error"].endswith("RuntimeError: why")
