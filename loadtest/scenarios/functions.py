"""The functions that the scenarios call: name -> its files and settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_ECHO = "module.exports = (req, res) => { res.setHeader('content-type', 'application/octet-stream'); req.pipe(res); };\n"
_SEND = "module.exports = (req, res) => { req.resume().on('end', () => res.end('Hello!\\n')); };\n"
_NUMBERED = "module.exports = (req, res) => res.end(`revision ${process.env.REVISION}\\n`);\n"
_PYTHON = 'def handler(request):\n    return f"Hello, {len(request.body)} bytes!\\n"\n'


@dataclass(frozen=True, slots=True)
class Sample:
    """One function: a folder of the examples, or files; and flags of `cloudbase deploy`."""

    folder: Path | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def revision(number: int) -> Sample:
    """A function that answers with a number. One source, built once: it is the change of revisions that is looked at."""
    return Sample(files={"index.js": _NUMBERED}, flags=("--min", "1", "--env", f"REVISION={number}"))


HELLO = Sample(ROOT / "examples" / "node-hello", flags=("--min", "1"))
SLEEPY = Sample(ROOT / "examples" / "node-hello", flags=("--idle-grace", "0.5"))
SPIKE = Sample(ROOT / "examples" / "node-hello", flags=("--idle-grace", "1", "--max", "2"))
SOCKET = Sample(ROOT / "examples" / "node-websocket", flags=("--idle-grace", "1"))
ECHO = Sample(files={"index.js": _ECHO}, flags=("--min", "1"))
MIXED = {
    f"mixed-{number}": Sample(
        files={"index.js": _SEND} if number % 2 else {"main.py": _PYTHON}, flags=("--idle-grace", "2", "--max", "2")
    )
    for number in range(6)
}
