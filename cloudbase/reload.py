"""`python -m cloudbase.reload MODULE [ARGUMENT…]`: runs a module, anew whenever a Python file of the working folder changes.

For `skaffold dev`, which copies edited files into running pods: a pod need not be replaced for them, only its process.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cloudbase.watch import Snapshot, snapshot

LOOK = 0.5  # seconds between looks at the files
SETTLE = 2  # looks that find no further change, after which it is started anew: a sync writes file after file


def look(folder: Path) -> Snapshot:
    """Its Python files as they are now: each by itself, since a synced file may be older than the one that it replaces."""
    return {path: seen for path, seen in snapshot(folder).items() if path.endswith(".py")}


class Runner:
    """One child at a time: started anew when files change, and when it ends by itself."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self._command = [sys.executable, "-m", *arguments]
        self._folder = folder
        self._signal = 0

    def stop(self, number: int, _frame: object) -> None:
        """Asked to end; the next look passes it on."""
        self._signal = number

    def run(self) -> int:
        """Until a signal, which the child gets; its exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        while True:
            seen, child = look(self._folder), subprocess.Popen(self._command, cwd=self._folder)
            why = self._watch(child, seen)
            child.send_signal(self._signal or signal.SIGTERM)
            status = child.wait()
            if self._signal:
                return status
            print(f"cloudbase.reload: {why}, it is started anew", flush=True)

    def _watch(self, child: subprocess.Popen[bytes], seen: Snapshot) -> str:
        """Why the child is to be followed by another; "" when nothing is to follow."""
        while not self._signal:
            time.sleep(LOOK)
            if child.poll() is not None:
                time.sleep(LOOK)  # one that cannot even start must not keep the machine busy
                return f"it ended with status {child.returncode}"
            if (now := look(self._folder)) != seen:
                self._settle(now)
                return "files have changed"
        return ""

    def _settle(self, now: Snapshot) -> None:
        """Until nothing has changed for SETTLE looks."""
        quiet = 0
        while quiet < SETTLE and not self._signal:
            time.sleep(LOOK)
            before, now = now, look(self._folder)
            quiet = quiet + 1 if before == now else 0


def main(arguments: Sequence[str]) -> int:
    """Exit status 2 without a module."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__, file=sys.stderr if not arguments else sys.stdout)
        return 0 if arguments else 2
    return Runner(arguments, Path.cwd()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
