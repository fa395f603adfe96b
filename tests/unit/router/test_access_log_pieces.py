"""Lines of several workers never mix in one pipe."""

from __future__ import annotations

from router.access_log import pieces


def test_lines_are_written_whole_and_never_more_than_a_pipe_takes_at_once() -> None:
    lines = [b"x" * size + b"\n" for size in (10, 4000, 200, 4095, 1, 1, 3000, 1000, 95, 1)]
    written = list(pieces(lines))
    assert b"".join(written) == b"".join(lines)
    assert all(piece.endswith(b"\n") and len(piece) <= 4096 for piece in written)
    assert len(written) == 5
