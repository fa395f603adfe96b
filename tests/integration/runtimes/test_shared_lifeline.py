"""The pipe whose end tells that the starter is gone is shared by all children, and Node makes what it reads non-blocking."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtimes.catalog import RUNTIMES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text("def handler(request):\n    return 'here'\n")
    return tmp_path


def test_a_pipe_that_a_sibling_made_non_blocking_ends_no_python_function_until_the_starter_is_gone(folder: Path) -> None:
    lifeline, ours = os.pipe()
    ready, theirs = os.pipe()
    os.set_blocking(lifeline, False)
    env = {"CLOUDBASE_PARENT_FD": str(lifeline), "CLOUDBASE_READY_FD": str(theirs), "CLOUDBASE_SOCKET": str(folder / "s")}
    process = subprocess.Popen(RUNTIMES["python"].command(sys.executable), cwd=folder, env=env, pass_fds=(lifeline, theirs))
    try:
        os.close(lifeline)
        os.close(theirs)
        with os.fdopen(ready) as told:
            assert "listening" in json.loads(told.readline())
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        os.close(ours)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
