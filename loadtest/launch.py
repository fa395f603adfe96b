"""How load tests start the real router: from this checkout, with every default, and with as many routes as they want.

loadtest/bench-launcher       reads BENCH_LISTEN, BENCH_UPSTREAM and BENCH_ROUTES, and becomes the router
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import router
from router.model import Settings as RouteSettings
from router.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
OVERRIDES = ("ROUTER_", "CLOUDBASE_")  # variables that would change a default
PLAIN = "CLOUDBASE_PLAIN"  # not a setting: which build of the source runs
FUNCTION = "hello"  # what the load asks for


def interpreter() -> str:
    """CLOUDBASE_PYTHON, else the one of the checkout's .venv."""
    return os.environ.get("CLOUDBASE_PYTHON") or str(ROOT / ".venv/bin/python")


def features() -> dict[str, str]:
    """The settings in force, as the router's own defaults have them: "router.<name>" for all routes, "route.<name>" for each."""
    kinds = {"router": dataclasses.asdict(Settings()), "route": dataclasses.asdict(RouteSettings())}
    return {f"{kind}.{name}": _shown(value) for kind, settings in kinds.items() for name, value in settings.items()}


def command(listen: str, upstream: str, routes: int = 1) -> list[str]:
    """The command line of a router with this many routes: FUNCTION to `upstream`, and dummies. No option besides."""
    found = [interpreter(), "-m", "router", "--listen", listen, "--route", f"{FUNCTION}={upstream}"]
    for number in range(1, routes):
        found += ["--route", f"dummy-{number}=127.0.0.1:9"]  # discard: nothing listens there
    return found


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would override a default."""
    return {name: value for name, value in environ.items() if name == PLAIN or not name.startswith(OVERRIDES)}


def main() -> None:
    """Say which features are on, then become the router."""
    environ = os.environ
    routes = int(environ.get("BENCH_ROUTES") or 1)
    words = command(environ["BENCH_LISTEN"], environ["BENCH_UPSTREAM"], routes)
    print(f"{interpreter()}: {sys.version}, {router.BUILD}", file=sys.stderr)
    print(f"{routes} routes; every feature as by default:", file=sys.stderr)
    for name, value in features().items():
        print(f"  {name} = {value}", file=sys.stderr, flush=True)
    os.chdir(ROOT)
    os.execve(words[0], words, environment(environ))


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


if __name__ == "__main__":
    main()
