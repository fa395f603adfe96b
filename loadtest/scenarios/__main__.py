"""The scenarios' command line.

    python -m loadtest.scenarios [NAME...] [--short] [--url URL] [--results DIR] [--compare DIR] [--thresholds FILE] [-- OPTIONS]

Without --url it starts a platform of its own on this machine. With it, functions are deployed by the `cloudbase` command, which
is given the OPTIONS (such as `--namespace`), and called at URL. Results (locust's CSV and HTML, outcomes.json) are written to
DIR; --compare shows what has changed since an earlier run's. Exit status: 0; 1 a threshold was not kept; 2 a scenario could
not be played.

For locust's own web interface: .cache/loadtest-venv/bin/locust -f loadtest/scenarios/users/warm.py --host http://127.0.0.1:8080
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from loadtest.scenarios import thresholds
from loadtest.scenarios.outcome import Outcome, changes
from loadtest.scenarios.play import SCENARIOS, play
from loadtest.scenarios.target import Failed, Target, here
from loadtest.verdict import table, verdict


def main(argv: Sequence[str]) -> int:
    """Play what is named, or all."""
    cut = argv.index("--") if "--" in argv else len(argv)
    args = _arguments().parse_args(argv[:cut])
    try:
        wanted = thresholds.read(args.thresholds, args.short)
        names = args.names or [name for name in wanted if name in SCENARIOS]
        before = _read(args.compare) if args.compare else {}
        with here() if not args.url else contextlib.nullcontext(Target(args.url, tuple(argv[cut + 1 :]))) as target:
            return _all(names, target, wanted, args.results, before)
    except (Failed, thresholds.BadThresholds) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 2


def _all(
    names: Sequence[str], target: Target, wanted: Mapping[str, thresholds.Threshold], results: Path, before: Mapping[str, Outcome]
) -> int:
    found: dict[str, Outcome] = {}
    kept = True
    for name in names:
        print(f"{name}: {wanted[name].about} …", file=sys.stderr, flush=True)
        found[name] = play(name, target, wanted[name], results)
        claims = thresholds.claims(wanted[name], found[name])
        print(table(f"{name}: {wanted[name].about}", claims, _facts(found[name])), flush=True)
        kept = kept and verdict(claims)
        (results / "outcomes.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    for scenario, figure, old, new in changes(before, found):
        share = f"{new / old - 1:+.0%}" if old else ""
        print(f"  {scenario:10} {figure:11} {old:10.1f} -> {new:10.1f}  {share}")
    print(f"results: {results}", file=sys.stderr)
    return 0 if kept else 1


def _facts(found: Outcome) -> list[tuple[str, str]]:
    listed = [("requests/s", f"{found.rate:.0f}"), ("p50 / p95 / p99", f"{found.p50:.1f} / {found.p95:.1f} / {found.p99:.1f} ms")]
    return [*listed, *((what, f"{value:.1f} ms") for what, value in found.peer.items())]


def _read(folder: Path) -> dict[str, Outcome]:
    try:
        return msgspec.json.decode((folder / "outcomes.json").read_bytes(), type=dict[str, Outcome])
    except (OSError, msgspec.DecodeError) as error:
        raise Failed(f"{folder} holds no results of an earlier run: {error}") from error


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.scenarios", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*SCENARIOS, []], metavar="NAME", help=f"{', '.join(SCENARIOS)}; none = all")
    parser.add_argument("--short", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--url", default="", help="the router of a platform that runs; without it one is started here")
    parser.add_argument(
        "--results", type=Path, default=Path(".cache/loadtest-results"), metavar="DIR", help="default %(default)s"
    )
    parser.add_argument("--compare", type=Path, metavar="DIR", help="the results of an earlier run")
    parser.add_argument(
        "--thresholds", type=Path, default=thresholds.FILE, metavar="FILE", help="default thresholds.toml beside it"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
