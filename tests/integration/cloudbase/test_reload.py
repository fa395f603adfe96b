"""A process starts anew when its files change, and ends as its child does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest.local import ROOT

CHILD = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
pathlib.Path('said').write_text('{}')
time.sleep(60)
"""


def until(folder: Path, word: str) -> None:
    deadline = time.monotonic() + 30
    while not (folder / "said").exists() or (folder / "said").read_text() != word:
        assert time.monotonic() < deadline, f"it never said {word!r}"
        time.sleep(0.05)


def test_it_runs_what_is_written_now_and_ends_with_its_child(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(CHILD.format("one"))
    (newer := tmp_path / "newer.py").touch()
    os.utime(newer, (time.time() + 1000,) * 2)
    command = [sys.executable, "-m", "cloudbase.reload", "program"]
    with subprocess.Popen(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}) as process:
        try:
            until(tmp_path, "one")
            program.write_text(CHILD.format("two, and more"))
            until(tmp_path, "two, and more")
            program.write_text("import pathlib\npathlib.Path('said').write_text('broken')\nraise SystemExit(3)\n")
            until(tmp_path, "broken")
            program.write_text(CHILD.format("three"))
            until(tmp_path, "three")
            (aside := tmp_path / "aside").write_text(CHILD.format("four, of long ago"))
            os.utime(aside, (1_000_000_000,) * 2)  # a sync keeps a file's time
            aside.replace(program)
            until(tmp_path, "four, of long ago")
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 7


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["--help"], 0)])
def test_it_says_how_it_is_called(arguments: list[str], status: int) -> None:
    done = subprocess.run([sys.executable, "-m", "cloudbase.reload", *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == status and "cloudbase.reload MODULE" in done.stdout + done.stderr
