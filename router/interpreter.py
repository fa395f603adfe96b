"""What this CPython costs: said once at start, because it is the cheapest speed there is."""

from __future__ import annotations

import sysconfig

from router.http1.grammar import POSSESSIVE


def warnings() -> list[str]:
    """Sentences for the log about an interpreter that is slower than need be."""
    found = []
    if not POSSESSIVE:
        found.append("this CPython is older than 3.11.5 and its `re` has a bug: the fast path for heads is off")
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    if arguments and "--enable-optimizations" not in arguments:
        found.append("this CPython was built without --enable-optimizations: the router is a fifth to a third slower on it")
    return found
