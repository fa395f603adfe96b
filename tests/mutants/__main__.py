"""`make mutants`: plants each defect in a copy of the tree and prints which test caught it; fails if one survives.

The work tree is never touched. Each defect runs its own few tests first, and all of the data plane's only if those let it pass.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.defect import WIDE, Defect
from tests.mutants.planted import DEFECTS

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
OWN = "--ignore=tests/unit/router/test_planted_defects.py"  # it looks for the source without a defect, so it would catch them all
PATIENCE = 180  # seconds after which a defect that hangs the tests counts as caught
WHOLE = 900  # seconds that all of the data plane's tests may take, on a machine that has other things to do
FAILED = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)


class Copy:
    """A copy of the tree as it stands, without what git ignores."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)

    def test(self, *arguments: str, patience: float = PATIENCE) -> str:
        """Empty when these tests pass, else the first that did not."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *arguments]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # a patched file may have the size and second of the old one
        try:
            run = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=patience, check=False
            )
        except subprocess.TimeoutExpired:
            return "(the tests hang)"
        if run.returncode == 0:
            return ""
        failed = FAILED.findall(run.stdout)
        if run.returncode != 1 or not failed:  # an error of collection or of a fixture has caught nothing
            raise SystemExit(f"pytest {' '.join(arguments)} did not run:\n{run.stdout}{run.stderr}")
        return str(failed[0]).rpartition("::")[2]

    def caught_by(self, defect: Defect) -> str:
        """Plant it, look, and take it out again."""
        path = self.folder / defect.file
        before = path.read_text()
        path.write_text(planted(before, defect))
        try:
            return next((found for test in defect.tests if (found := self.test(test))), "") or self.test(
                OWN, *WIDE, patience=WHOLE
            )
        finally:
            path.write_text(before)


def planted(text: str, defect: Defect) -> str:
    """The file with the defect in it. Raises ValueError when it does not apply exactly once."""
    if text.count(defect.old) != 1:
        raise ValueError(f"{defect.name}: {defect.file} has {text.count(defect.old)} times: {defect.old!r}")
    return text.replace(defect.old, defect.new)


def main() -> int:
    """Print a line for each defect; 1 if one survived or none could be planted."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="plant only defects with one of these in their names or files")
    words = parser.parse_args().words or [""]
    defects = [defect for defect in DEFECTS if any(word in f"{defect.name} {defect.file}" for word in words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as name, ThreadPoolExecutor(WORKERS) as pool:
        copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for number in range(WORKERS):
            copies.put(Copy(Path(name) / str(number)))
        if failed := sound(copies):
            print(f"{failed} fails without any defect: nothing can be said")
            return 1
        lock = threading.Lock()

        def look(defect: Defect) -> bool:
            copy = copies.get()
            try:
                found = copy.caught_by(defect)
            finally:
                copies.put(copy)
            with lock:
                print(f"{defect.name:45}  {defect.file:24}  {found or 'SURVIVED'}", flush=True)
            return bool(found)

        caught = list(pool.map(look, defects))
    print(f"\n{sum(caught)} of {len(caught)} planted defects caught in {time.monotonic() - began:.0f} s")
    return 0 if caught and all(caught) else 1


def sound(copies: queue.SimpleQueue[Copy]) -> str:
    """All tests that a defect may meet pass on the tree as it is, and it is the copy that they test."""
    copy = copies.get()
    where = subprocess.run(
        [sys.executable, "-c", "import router; print(router.__file__)"],
        cwd=copy.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(copy.folder.resolve()), where.stdout
    try:
        return copy.test("-n", str(WORKERS), *WIDE, patience=WHOLE)
    finally:
        copies.put(copy)


if __name__ == "__main__":
    sys.exit(main())
