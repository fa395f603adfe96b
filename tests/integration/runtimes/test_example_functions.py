"""Every example answers in its form, over both kinds of socket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.shared.function_process import FunctionProcess, eventually

EXAMPLES = Path(__file__).parents[3] / "examples"
OVER = pytest.mark.parametrize("over", ["unix", "tcp"])


def example(name: str, over: str = "unix") -> FunctionProcess:
    return FunctionProcess(name.split("-")[0], EXAMPLES / name, over=over)


@OVER
@pytest.mark.parametrize("name", ["node-hello", "python-hello"])
def test_the_sample_greets_by_name(name: str, over: str) -> None:
    with example(name, over) as function:
        answer = function.request("/?name=you")
    assert (answer.status, answer.body) == (200, b"Hello, you!\n")
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_node_handler_is_given_an_event_and_returns_the_answer() -> None:
    with example("node-handler") as function:
        answer = function.request("/a?b=1&b=2", "POST", json.dumps({"c": 3}), {"Content-Type": "application/json"})
        refused = function.request(method="DELETE")
    expected = {"method": "POST", "path": "/a", "query": {"b": ["1", "2"]}, "body": {"c": 3}, "function": "tested"}
    assert answer.json() == expected
    assert (refused.status, refused.headers["allow"], refused.body) == (405, "GET, POST", b"not that\n")


@pytest.mark.parametrize("name", ["node-handler", "python-async"])
@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_cloudevent_is_given_as_an_event_in_both_modes(name: str, mode: str) -> None:
    event = {"specversion": "1.0", "id": "e-7", "type": "order.made", "source": "/shop"}
    with example(name) as function:
        if mode == "binary":
            fields = {f"ce-{key}": value for key, value in event.items()} | {"Content-Type": "application/json"}
            answer = function.request("/", "POST", '{"total":3}', fields)
        else:
            whole = json.dumps({**event, "data": {"total": 3}})
            answer = function.request("/", "POST", whole, {"Content-Type": "application/cloudevents+json"})
        eventually(lambda: _contains(function.stdout, "e-7", "total", "3"))
    assert (answer.status, answer.body) == (204, b"")


def _contains(text: str, *parts: str) -> None:
    assert all(part in text for part in parts), text


@OVER
def test_an_express_style_application_is_served_as_it_is(over: str) -> None:
    with example("node-express-style", over) as function:
        assert function.request("/").json() == {"hello": "express"}
        assert function.request("/users/42").json() == {"user": "42"}
        assert function.request("/nowhere").status == 404
        broken = function.request("/broken")
    assert broken.status == 500
    assert b"stays in the log" not in broken.body


def test_an_es_module_is_served_by_its_default_export() -> None:
    with example("node-esm") as function:
        first, second = function.request("/x").json(), function.request("/y").json()
    assert (first["url"], second["url"]) == ("/x", "/y")
    assert first["instance"] == second["instance"]


@pytest.mark.parametrize("name", ["node-server", "python-server"])
def test_a_program_listens_on_the_port_by_itself_and_ends_on_sigterm(name: str) -> None:
    with example(name) as function:
        answer = function.request("/a")
        address = function.ready.get("listening") or function.ready["probe"]
        function.terminate()
        assert function.exit_code() == 0
    assert answer.body == b"served by a program: GET /a\n"
    assert address == f"127.0.0.1:{function.port}"


def test_async_python_streams_a_generator() -> None:
    with example("python-async") as function:
        plain = function.request("/x", "POST", "body")
        streamed = function.request("/stream?to=4")
    assert plain.json() == {"method": "POST", "path": "/x", "body": "body"}
    assert plain.headers["x-form"] == "async"
    assert streamed.body == b"1\n2\n3\n4\n"


@OVER
@pytest.mark.parametrize(
    ("name", "expected"),
    [("python-wsgi", b"PUT /a with 6 bytes\n"), ("python-asgi", b"PUT /a with 6 bytes, ready since startup\n")],
)
def test_wsgi_and_asgi_applications_read_chunked_bodies(name: str, expected: bytes, over: str) -> None:
    with example(name, over) as function:
        assert function.request("/a", "PUT", iter([b"abc", b"def"])).body == expected


def test_an_asgi_application_is_told_of_the_end() -> None:
    with example("python-asgi") as function:
        function.terminate()
        assert function.exit_code() == 0
        assert "shutting down" in function.stdout
