"""What runs the router: which interpreter, which build of the source, and what that costs. Said once at start."""

from __future__ import annotations

import logging
import platform
import sysconfig
from pathlib import Path

from router import BUILD
from router.compiled import STALE
from router.http1.grammar import POSSESSIVE


def described() -> str:
    """Interpreter and build, for the log: "CPython 3.13.5, compiled"."""
    return f"{platform.python_implementation()} {platform.python_version()}, {BUILD}"


def announce(log: logging.Logger) -> None:
    """Say both at start."""
    log.info("%s", described())
    for warning in warnings():
        log.warning("%s", warning)


def warnings() -> list[str]:
    """Sentences for the log about what makes the router slower than need be."""
    found = []
    if not POSSESSIVE:
        found.append("this CPython is older than 3.11.5 and its `re` has a bug: the fast path for heads is off")
    if unoptimised(str(sysconfig.get_config_var("CONFIG_ARGS") or ""), _shared()):
        found.append("this CPython was built without --enable-optimizations: the router is a fifth to a third slower on it")
    if BUILD == STALE:
        found.append("the compiled router is older than its source, so the plain source runs: `make compile` compiles it anew")
    return found


def unoptimised(arguments: str, shared: bool) -> bool:
    """Was this interpreter built without profile-guided optimisation, by the arguments of its `configure`?

    `shared`: it runs from libpython. Debian and Ubuntu configure twice and describe their shared build, but what they install
    as python3 is the other one: static, profile-guided by `make profile-opt`. So a shared configuration of an interpreter that
    is not shared tells nothing.
    """
    if not arguments or "--enable-optimizations" in arguments:
        return False
    return shared or "--enable-shared" not in arguments


def _shared() -> bool:
    """Is libpython mapped into this process? True where the system does not tell."""
    try:
        return "/libpython" in Path("/proc/self/maps").read_text()
    except OSError:
        return True
