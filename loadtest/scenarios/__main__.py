"""The scenarios' command line.

    python -m loadtest.scenarios [NAME...] [--short] [--results DIR] [--compare DIR] [--thresholds FILE]
    python -m loadtest.scenarios [NAME...] --url URL [--namespace N [--context C]] [--swarm URL] [-- OPTIONS]

Without --url it starts a platform of its own on this machine. With it, functions are deployed by the `cloudbase` command, which
is given the OPTIONS (such as --token), and called at URL. Results (locust's CSV and HTML, outcomes.json) are written to DIR;
--compare shows what has changed since an earlier run's, and writes it to comparison.csv. Exit status: 0; 1 a threshold was not
kept; 2 a scenario could not be played, and why; 130 ended by Ctrl-C or SIGTERM, with what had been measured written.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import msgspec

from loadtest.scenarios import thresholds
from loadtest.scenarios.options import parsed, staged
from loadtest.scenarios.outcome import Change, Outcome, changes, compared
from loadtest.scenarios.play import SCENARIOS, Stage, functions
from loadtest.scenarios.target import Failed
from loadtest.verdict import table, verdict

STOPPED = 130  # exit status, the shell's for SIGINT


def main(argv: Sequence[str]) -> int:
    """Play what is named, or all."""
    args = parsed(argv, __doc__ or "")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        wanted = thresholds.read(args.thresholds, args.short, SCENARIOS)
        names = args.names or list(wanted)
        if missing := [name for name in names if name not in wanted]:
            raise thresholds.BadThresholds(f"{args.thresholds}: it has no section [{missing[0]}]")
        before = _read(args.compare) if args.compare else {}
        _make(args.results)
        with staged(args) as stage:
            kept, found = _all(names, stage, wanted, args.results)
        if args.compare:
            _compare(before, found, args.results)
        print(f"results: {args.results}", file=sys.stderr)
        return 0 if kept else 1
    except (Failed, thresholds.BadThresholds) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"loadtest: stopped; what was measured is in {args.results}", file=sys.stderr)
        return STOPPED


def _all(
    names: Sequence[str], stage: Stage, wanted: Mapping[str, thresholds.Threshold], results: Path
) -> tuple[bool, dict[str, Outcome]]:
    """Were all thresholds kept, and what was found."""
    found: dict[str, Outcome] = {}
    kept = True
    try:
        print(f"deploying what is called by {', '.join(names)} …", file=sys.stderr, flush=True)
        stage.target.deploy(functions(names))
        for name in names:
            print(f"{name}: {wanted[name].about} …", file=sys.stderr, flush=True)
            found[name] = stage.play(name, wanted[name])
            claims = thresholds.claims(wanted[name], found[name])
            print(table(f"{name}: {wanted[name].about}", claims, _facts(found[name])), flush=True)
            kept = kept and verdict(claims)
            (results / "outcomes.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    finally:
        stage.target.delete(list(functions(names)))
    return kept, found


def _facts(found: Outcome) -> list[tuple[str, str]]:
    listed = [("requests/s", f"{found.rate:.0f}"), ("p50 / p95 / p99", f"{found.p50:.1f} / {found.p95:.1f} / {found.p99:.1f} ms")]
    return [*listed, *((what, f"{value:.1f} ms") for what, value in found.peer.items())]


def _compare(before: Mapping[str, Outcome], found: Mapping[str, Outcome], results: Path) -> None:
    told: list[Change] = changes(before, found)
    (results / "comparison.csv").write_text(compared(told))
    for each in told or ():
        print(f"  {each.scenario:10} {each.figure:11} {each.before:10.1f} -> {each.after:10.1f}  {each.share}")
    if not told:
        print("  nothing to compare: the earlier run played none of these scenarios")


def _read(folder: Path) -> dict[str, Outcome]:
    try:
        return msgspec.json.decode((folder / "outcomes.json").read_bytes(), type=dict[str, Outcome])
    except (OSError, msgspec.DecodeError) as error:
        raise Failed(f"{folder} holds no results of an earlier run: {error}") from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "outcomes.json").unlink(missing_ok=True)  # of an earlier run: not ours if we are stopped early
    except OSError as error:
        raise Failed(f"results cannot be written to {folder}: {error}") from error


def _stop(number: int, frame: FrameType | None) -> None:
    """End in order, once: a second signal would leave functions and processes behind."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
