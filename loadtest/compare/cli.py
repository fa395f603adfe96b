"""The command line of the comparison.

    python3 -m loadtest.compare install
    python3 -m loadtest.compare run [OPTIONS] [-- COMMAND...]     COMMAND starts the router under test

README.md beside this file says what COMMAND must do and how to read the result.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from loadtest.compare.checks import HELLO, Client, until_right
from loadtest.compare.idle import measure_idle
from loadtest.compare.install import install, installed, missing
from loadtest.compare.measure import Bench, measure
from loadtest.compare.peers import DEFAULT_PEERS, PEERS, builds, targets
from loadtest.compare.place import BIN, PORT, Fault
from loadtest.compare.report import Result, text, write_json
from loadtest.compare.scenarios import IDLE, SCENARIOS
from loadtest.compare.service import Service, running


def main(argv: list[str]) -> int:
    """Exit status: 0; 1 a target had errors under load; 2 no result."""
    cut = argv.index("--") if "--" in argv else len(argv)
    args = _arguments().parse_args(argv[:cut])
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _do(args, argv[cut + 1 :])
    except Fault as fault:
        print(f"compare: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _do(args: argparse.Namespace, command: list[str]) -> int:
    if sys.platform != "linux":
        raise Fault(f"the comparison reads /proc and pins processes to CPUs: it needs Linux, this is {sys.platform}")
    if args.do == "install":
        if not (args.needed and installed()):
            install()
        return 0
    result = run(args, command)
    print(text(result))
    if args.json:
        write_json(result, args.json)
    return 1 if result.errors() else 0


def run(args: argparse.Namespace, command: list[str]) -> Result:
    """Measure the targets, the proxy alone on the first CPU, wrk and the backend on the last. Raises Fault."""
    _prepare(args.peers, command)
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Fault("two CPUs are needed: one for the proxy, one for the load")
    proxy_cpu, load_cpu = cpus[0], cpus[-1]  # far apart: rarely two threads of one core
    os.sched_setaffinity(0, {load_cpu})  # wrk inherits it
    services = targets(args.peers, command, args.plain, args.routes)
    names = [name for name in args.scenarios if name != IDLE]
    backend = Service("backend", [str(BIN / "backend"), str(PORT)], PORT)
    with running(backend, load_cpu, lambda it: until_right(it, lambda same: Client(same.port).expect("/x", HELLO))):
        samples, less = measure(Bench(backend, proxy_cpu, load_cpu), services, names, args.rounds, args.seconds)
        idles = measure_idle(services, proxy_cpu) if IDLE in args.scenarios and args.rounds else []
    return Result(command, args.peers, args.rounds, args.seconds, samples, idles, less, builds(services))


def _prepare(peers: list[str], command: list[str]) -> None:
    """See that there is something to measure and that it is installed; allow many open files."""
    if not peers and not command:
        raise Fault("nothing to measure: no peers, no router command")
    if gone := missing():
        raise Fault(f"run `python3 -m loadtest.compare install` first; missing: {', '.join(gone)}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def names_of(allowed: list[str]) -> Callable[[str], list[str]]:
    """A parser of comma-separated names, each of them once."""

    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if strange := [name for name in names if name not in allowed]:
            raise argparse.ArgumentTypeError(f"{', '.join(strange)}? choose from {', '.join(allowed)}")
        return list(dict.fromkeys(names))

    return parse


def _arguments() -> argparse.ArgumentParser:
    """The command line up to `--`."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="do", required=True)
    installing = commands.add_parser("install", help="install the peers and compile the kit's programs")
    installing.add_argument("--needed", action="store_true", help="do nothing when all is there already")
    it = commands.add_parser(
        "run",
        help="compare the router that COMMAND starts with the peers",
        usage="python -m loadtest.compare run [OPTIONS] [-- COMMAND...]",
    )
    every = [*SCENARIOS, IDLE]
    it.add_argument("--peers", type=names_of(list(PEERS)), default=DEFAULT_PEERS, help=f"of {','.join(PEERS)}")
    it.add_argument("--scenarios", type=names_of(every), default=every, help=f"of {','.join(every)}")
    it.add_argument(
        "--rounds", type=int, default=3, help="samples of each target in each scenario (3); 0: check the answers only"
    )
    it.add_argument("--seconds", type=int, default=3, help="length of a sample (3)")
    it.add_argument("--plain", action="store_true", help="measure COMMAND a second time as `plain`, with CLOUDBASE_PLAIN=1")
    it.add_argument("--routes", type=int, default=0, metavar="N", help="and once more as `many routes`, with BENCH_ROUTES=N")
    it.add_argument("--json", type=Path, metavar="FILE", help="write all samples and rows here too")
    return parser
