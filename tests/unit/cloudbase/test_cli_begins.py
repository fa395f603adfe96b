"""Ctrl-C before the command line is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
from cloudbase.entry import main

class Interrupts:
    def find_spec(self, name, *_):
        if name == "click":
            print("importing", flush=True)
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.%s)
sys.meta_path.insert(0, Interrupts())
sys.argv[1:] = ["version", "--help"]
main()
"""


@pytest.mark.parametrize(("before", "code", "goes_on"), [("default_int_handler", 130, False), ("SIG_IGN", 0, True)])
def test_ctrl_c_while_it_is_imported_ends_it_without_a_word_unless_it_is_ignored(before: str, code: int, goes_on: bool) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM % before], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("importing\n")
    assert ("Print the version" in done.stdout) is goes_on
