"""The load generator's reader finds the end of a response however its bytes are split."""

from __future__ import annotations

import pytest

from loadtest.response import ResponseReader

LENGTH = b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize(
    ("response", "status", "close"), [(LENGTH, 200, False), (CHUNKED, 503, True), (INTERIM, 200, False), (EMPTY, 204, False)]
)
def test_a_response_ends_with_its_last_byte_and_not_before_at_every_split(response: bytes, status: int, close: bool) -> None:
    for cut in range(1, len(response)):
        reader = ResponseReader()

        assert not reader.feed(response[:cut]), f"complete after {cut} bytes"
        assert reader.feed(response[cut:])
        assert (reader.status, reader.close) == (status, close)


def test_a_reader_that_was_reset_reads_the_next_response_byte_by_byte() -> None:
    reader = ResponseReader()
    for response in (CHUNKED, LENGTH, LENGTH, EMPTY):
        *rest, last = (response[at : at + 1] for at in range(len(response)))

        assert not any(reader.feed(byte) for byte in rest)
        assert reader.feed(last)
        reader.reset()
