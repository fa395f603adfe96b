"""Types the commands of a page in a shell, as its reader would in two terminals: what runs on goes on beside the rest."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# `forward` runs what makes a port here lead somewhere, until the end of the page; `briefly` what never ends by itself, until
# it has said something.
_PRELUDE = r"""
set -euo pipefail
PS4='+ '
curl() { command curl -sf --max-time 90 --retry 20 --retry-delay 1 --retry-all-errors "$@"; }
forward() {
  "$@" >/dev/null &
  local port=${@: -1}
  for _ in $(seq 300); do
    if (: </dev/tcp/127.0.0.1/${port%%:*}) 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  echo "nothing listens at ${port%%:*}" >&2
  return 1
}
briefly() {
  local said code=0
  said=$(mktemp)
  "$@" >"$said" 2>&1 &
  local process=$!
  for _ in $(seq 600); do
    if [ -s "$said" ] || ! kill -0 $process 2>/dev/null; then break; fi
    sleep 0.1
  done
  kill -TERM $process 2>/dev/null || true
  wait $process || code=$?
  cat "$said"
  [ -s "$said" ] && { [ $code = 0 ] || [ $code = 143 ]; }
}
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
set -x
"""
_FORWARD = re.compile(r"^(?=kubectl .*port-forward )", re.MULTILINE)
_ENDLESS = re.compile(r"^(?=python -m router |cloudbase router |cloudbase logs .*-f\b)", re.MULTILINE)


class Wrong(AssertionError):
    """A page's commands that do not work, with what the shell said."""


def play(
    blocks: Sequence[str],
    home: Path,
    *,
    words: Mapping[str, str],
    env: Mapping[str, str],
    programs: Mapping[str, str],
    within: float,
) -> str:
    """Type them in `home`, with `words` of the page replaced, and `programs` found by name. What they said. Raises Wrong."""
    shims = home / ".bin"
    shims.mkdir(parents=True, exist_ok=True)
    known = {"cloudbase": f"{sys.executable} -m cloudbase", "python": sys.executable, **programs}
    for name, command in known.items():
        (shims / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (shims / name).chmod(0o755)
    text = "\n".join(blocks)
    for old, new in words.items():
        assert old in text, f"no command says {old!r}"
        text = text.replace(old, new)
    text = _ENDLESS.sub("briefly ", _FORWARD.sub("forward ", text))
    whole = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}", **env}
    said = home / ".said"
    with said.open("w") as out:
        shell = subprocess.Popen(
            ["bash", "-c", _PRELUDE + text],
            cwd=home,
            env=whole,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            status = shell.wait(within)
        except subprocess.TimeoutExpired:
            status = -1
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # it, and whatever still runs in it
            shell.wait()
    if status:
        raise Wrong(f"exit status {status}\n{said.read_text()[-6000:]}")
    return said.read_text()
