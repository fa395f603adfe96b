"""The value that keeps a client with one endpoint: a cookie or a header field that the function's owner named."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_match_rule = re.compile(r"(cookie|header):[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII).fullmatch


def is_rule(text: str) -> bool:
    """Is this "cookie:<name>" or "header:<name>"?"""
    return _match_rule(text) is not None


def sticky_value(rule: str, lines: bytes) -> bytes:
    """The value of "cookie:<name>" or "header:<name>" in a block of field lines; empty when it is not there."""
    found = _searcher(rule)(b"\n" + lines)
    return found[1].strip(b" \t") if found else b""


@lru_cache(maxsize=256)
def _searcher(rule: str) -> Callable[[bytes], re.Match[bytes] | None]:
    kind, _, name = rule.partition(":")
    escaped = re.escape(name.encode())
    if kind == "cookie":  # cookie names are case-sensitive (RFC 6265 4.1.1)
        return re.compile(rb"\n(?i:cookie):(?:[^\r\n]*;)?[ \t]*%b=([^;\r\n]*)" % escaped).search
    return re.compile(rb"\n(?i:%b):([^\r\n]*)" % escaped).search
