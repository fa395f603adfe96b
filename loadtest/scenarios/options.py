"""The scenarios' command line: what it takes, and who plays what against whom by it."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtest.scenarios import thresholds
from loadtest.scenarios.cluster import InCluster
from loadtest.scenarios.distributed import Workers
from loadtest.scenarios.locusts import Here as LocustHere
from loadtest.scenarios.locusts import Swarms
from loadtest.scenarios.peers import Here as PeersHere
from loadtest.scenarios.play import SCENARIOS, Stage
from loadtest.scenarios.target import Target, here


def parsed(argv: Sequence[str], about: str) -> argparse.Namespace:
    """The options; `passed` are those behind `--`. Ends the process with 2 where they make no sense."""
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = _parser(about)
    args = parser.parse_args(argv[:cut])
    args.passed = tuple(argv[cut + 1 :])
    if args.context and not args.namespace:
        parser.error("--context needs --namespace")
    if not args.url and (args.namespace or args.swarm or args.passed):
        parser.error("--namespace, --swarm and options behind -- are about a platform that runs: they need --url")
    if args.thresholds is None:
        args.thresholds = thresholds.CLUSTER if args.namespace else thresholds.FILE
    return args


@contextlib.contextmanager
def staged(args: argparse.Namespace) -> Iterator[Stage]:
    """Where the scenarios are played. Raises Failed."""
    swarms: Swarms = Workers(args.swarm, args.results, args.workers) if args.swarm else LocustHere(args.results)
    if not args.url:
        with here() as target:
            yield Stage(target, swarms, PeersHere())
    elif not args.namespace:
        yield Stage(Target(args.url, args.passed), swarms, PeersHere())
    else:
        context = ("--context", args.context) if args.context else ()
        target = Target(args.url, ("--namespace", args.namespace, *context, *args.passed))
        yield Stage(target, swarms, InCluster(args.namespace, args.context, args.nginx_image))


def _parser(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.scenarios", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "names", nargs="*", choices=[*SCENARIOS, []], metavar="NAME", help=f"{', '.join(SCENARIOS)}; none = all of the thresholds"
    )
    add("--short", action="store_true", help="seconds instead of minutes")
    add("--results", type=Path, default=Path(".cache/loadtest-results"), metavar="DIR", help="default %(default)s")
    add("--compare", type=Path, metavar="DIR", help="the results of an earlier run")
    add(
        "--thresholds",
        type=Path,
        metavar="FILE",
        help="default thresholds.toml, or cluster.toml with --namespace, of this folder",
    )
    there = parser.add_argument_group("a platform that runs").add_argument
    there("--url", default="", help="its router as locust reaches it; without it a platform is started here")
    there(
        "--namespace",
        default="",
        metavar="NAME",
        help="it is in a cluster: where functions are deployed, and pods to compare with",
    )
    there("--context", default="", metavar="NAME", help="of the kubeconfig; default: the current one")
    there("--nginx-image", default="nginx:stable", metavar="IMAGE", help="that warm is compared with (default %(default)s)")
    there("--swarm", default="", metavar="URL", help="web interface of a locust master (helm/loadtest) whose workers call")
    there("--workers", type=int, default=1, metavar="N", help="of it that must be there (default %(default)s)")
    return parser
