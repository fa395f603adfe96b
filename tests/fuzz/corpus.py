"""The fuzzer's first inputs: every case of the hostile corpus, whole and in pieces, from both sides."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from tests.integration.hostile import hostile_answers, hostile_bodies, hostile_fields, hostile_heads

MOST = 8192  # bytes of one seed: larger ones teach a fuzzer nothing and cost it speed
# Words that a mutator would take long to find (libFuzzer's -dict).
WORDS = (
    *(
        "GET /fn/f",
        "HEAD ",
        "POST ",
        " HTTP/1.1",
        " HTTP/1.0",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 101 X",
        "HTTP/1.1 103 X",
        "HTTP/1.1 204 X",
    ),
    *(
        "\\x0d\\x0a",
        "\\x0d\\x0a\\x0d\\x0a",
        "Host: h",
        "Content-Length: ",
        "Transfer-Encoding: chunked",
        "Connection: ",
        "close",
        "keep-alive",
    ),
    *(
        "Upgrade: websocket",
        "Expect: 100-continue",
        "TE: trailers",
        "Trailer: ",
        "Keep-Alive: timeout=",
        "0\\x0d\\x0a\\x0d\\x0a",
        "1;a=b",
    ),
)


def seeds() -> Iterator[bytes]:
    """Inputs of target.one_input."""
    for number, case in enumerate((*hostile_heads.CASES, *hostile_bodies.CASES, *hostile_fields.CASES)):
        if len(case.send) <= MOST:
            yield bytes((2 * case.fin + 4 * (number % 8 == 0), (0, 1, 7)[number % 3])) + case.send
    for number, one in enumerate(hostile_answers.CASES):
        if 0 < len(one.send) <= MOST:
            yield bytes((1 + 2 * (number % 6) + 16 * one.ends, (0, 1, 7)[number % 3])) + one.send


def write(folder: Path) -> int:
    """A file for each seed, named by its content; returns how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for seed in seeds():
        (folder / sha256(seed).hexdigest()[:16]).write_bytes(seed)
        count += 1
    return count


def write_words(file: Path) -> None:
    """The dictionary as libFuzzer reads it."""
    file.write_text("".join(f'"{word}"\n' for word in WORDS))
