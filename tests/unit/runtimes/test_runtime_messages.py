"""What a Python handler is given and what its returned values mean."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from _cloudbase_runtime.messages import Headers, Request, Response, piece


def request(body: bytes = b"", query: str = "", **fields: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return Request("POST", "/a", query, Headers(pairs), body)


class Custom:
    """Another library's response: told by its shape."""

    status_code = 418
    headers = (("X-A", "b"),)
    body = "tea"


@pytest.mark.parametrize(
    ("value", "status", "kind", "body"),
    [
        (None, 204, None, b""),
        ("ü", 200, "text/plain; charset=utf-8", "ü".encode()),
        (b"\xff", 200, "application/octet-stream", b"\xff"),
        ({"a": "ü"}, 200, "application/json", '{"a": "ü"}'.encode()),
        ([1], 200, "application/json", b"[1]"),
        (7, 200, "application/json", b"7"),
        (("x", 201), 201, "text/plain; charset=utf-8", b"x"),
        (({"a": 1}, 202, {"Content-Type": "application/a+json"}), 202, "application/a+json", b'{"a": 1}'),
        (Response("x", content_type="text/html"), 200, "text/html", b"x"),
        (Custom(), 418, "text/plain; charset=utf-8", b"tea"),
    ],
)
def test_a_returned_value_means_an_answer(value: Any, status: int, kind: str | None, body: bytes) -> None:
    response = Response.of(value)
    fields = {name.lower(): field for name, field in response.headers}
    assert (response.status, fields.get("content-type"), response.body) == (status, kind, body)
    assert fields.get("content-length") == (None if status == 204 else str(len(body)))


@pytest.mark.parametrize("value", [object(), ("x",), ("x", "200"), (1, 2, 3, 4)])
def test_a_value_that_means_nothing_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        Response.of(value)


def test_an_iterator_is_kept_for_streaming_and_its_pieces_are_text_or_bytes() -> None:
    values = iter(["a", b"b"])
    assert Response.of(values).body is values
    assert (piece("ü"), piece(b"b")) == ("ü".encode(), b"b")
    with pytest.raises(TypeError):
        piece(1)


def test_headers_are_found_whatever_their_case_and_joined_when_repeated() -> None:
    headers = Headers([(b"x-a", b"1"), (b"X-A", b"2")])
    assert headers["X-a"] == "1, 2"
    assert "x-A" in headers
    assert headers.get("x-b") is None


def test_the_query_has_last_values_and_all_values() -> None:
    made = request(query="a=1&a=2&b=&c=%C3%BC")
    assert made.query == {"a": "2", "b": "", "c": "ü"}
    assert made.query_all["a"] == ["1", "2"]


def test_text_is_read_in_the_charset_it_came_in() -> None:
    assert request(b"\xfc", content_type='text/plain; charset="latin-1"').text == "ü"


def test_a_binary_event_has_its_attributes_decoded_and_its_data_parsed() -> None:
    made = request(b'{"n":1}', ce_specversion="1.0", ce_id="a%20b", content_type="application/json")
    assert made.event == {"specversion": "1.0", "id": "a b", "datacontenttype": "application/json", "data": {"n": 1}}


def test_a_structured_event_may_carry_bytes() -> None:
    raw = {"specversion": "1.0", "id": "1", "data_base64": base64.b64encode(b"\xff").decode()}
    made = request(json.dumps(raw).encode(), content_type="application/cloudevents+json; charset=utf-8")
    assert made.event == {"specversion": "1.0", "id": "1", "data": b"\xff"}
    assert made.events == [made.event]


def test_a_batch_gives_every_event_and_a_plain_request_none() -> None:
    batch = request(b'[{"id":"1"},{"id":"2"}]', content_type="application/cloudevents-batch+json")
    assert [event["id"] for event in batch.events] == ["1", "2"]
    assert request(b"{}").event is None
    assert request(b"{}").events == []
