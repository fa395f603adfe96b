"""The Python runtime's WebSocket frames, against an independent implementation."""

from __future__ import annotations

import itertools

import pytest
from _cloudbase_runtime.websocket import Broken, Frames, Opcode, accept_key, close_code, close_frame, frame
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.frames import Opcode as PeersOpcode

payloads = st.one_of(st.binary(max_size=300), st.integers(65530, 65540).map(bytes))


def sent(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    """A client's frame, masked, made by the peer's code."""
    return bytes(Frame(PeersOpcode(opcode), payload, fin=fin).serialize(mask=True))


@given(st.lists(payloads, max_size=4), st.lists(st.integers(0, 70_000), max_size=5))
def test_any_split_of_frames_gives_the_same_messages(messages: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(sent(Opcode.BINARY, message) for message in messages)
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    frames = Frames()
    events = [event for a, b in itertools.pairwise(places) for event in frames.feed(raw[a:b])]
    assert events == [(Opcode.BINARY, message) for message in messages]


@given(st.text(max_size=200), st.lists(st.integers(0, 200), max_size=3))
def test_fragments_are_joined_also_inside_a_character_and_around_a_ping(text: str, cuts: list[int]) -> None:
    data = text.encode()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in itertools.pairwise(places)]
    raw = b""
    for number, part in enumerate(parts):
        raw += sent(Opcode.CONTINUATION if number else Opcode.TEXT, part, fin=number == len(parts) - 1)
        raw += sent(Opcode.PING, b"p")
    events = Frames().feed(raw)
    assert [payload for opcode, payload in events if opcode == Opcode.TEXT] == [text]
    assert sum(opcode == Opcode.PING for opcode, _ in events) == len(parts)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_servers_frame_is_what_the_peer_would_have_made(size: int) -> None:
    assert frame(Opcode.BINARY, b"x" * size) == bytes(Frame(PeersOpcode.BINARY, b"x" * size).serialize(mask=False))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(Opcode.TEXT, b"unmasked"), 1002),
        (sent(Opcode.CONTINUATION, b"without a beginning"), 1002),
        (sent(Opcode.TEXT, b"a", fin=False) + sent(Opcode.TEXT, b"b"), 1002),
        (sent(Opcode.TEXT, b"\xff"), 1007),
        (b"\x84\x80aaaa", 1002),
        (b"\xc1\x80aaaa", 1002),
        (b"\x88\xfe\x00\x80aaaa", 1002),
        (sent(Opcode.BINARY, b"x" * 101), 1009),
        (sent(Opcode.BINARY, b"x" * 60, fin=False) + sent(Opcode.CONTINUATION, b"x" * 60), 1009),
    ],
    ids=[
        *("unmasked", "continuation first", "text inside a text", "not UTF-8", "unknown opcode", "reserved bit", "long close"),
        *("too large", "too large in fragments"),
    ],
)
def test_a_broken_frame_has_its_code(raw: bytes, code: int) -> None:
    with pytest.raises(Broken) as broken:
        Frames(limit=100).feed(raw)
    assert broken.value.code == code


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xed", b"\x03\xee", b"\x00\x01", b"\x13\x88", b"\x03\xe8\xff"])
def test_a_closing_frame_with_a_code_nobody_may_send_is_refused(payload: bytes) -> None:
    with pytest.raises(Broken):
        close_code(payload)


def test_codes_and_reasons_survive_the_way() -> None:
    assert close_code(close_frame(1001, "bye")[2:]) == (1001, "bye")
    assert close_code(close_frame(1005)[2:]) == (1005, "")


def test_the_key_of_the_rfc_gives_the_answer_of_the_rfc() -> None:
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("key", [b"", b"short", b"dGhlIHNhbXBsZSBub25jZQ=!"])
def test_a_key_that_is_none_is_refused(key: bytes) -> None:
    with pytest.raises(Broken):
        accept_key(key)
