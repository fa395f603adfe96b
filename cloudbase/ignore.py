"""Which files of a function's folder are deployed: patterns in gitignore's language. No file is read in here.

The language is gitignore(5)'s: `#` comments, `!` takes back, a trailing `/` means folders, a `/` before the end anchors at the
top, `*` and `?` stop at `/`, `**` does not; the last pattern that matches decides, and nothing inside an ignored folder can be
taken back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ALWAYS = (
    ".git/", ".hg/", ".svn/", ".cloudbase/", ".cloudbaseignore", ".gitignore",
    "node_modules/", ".venv/", "venv/", "__pycache__/", "*.py[cod]",
    ".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".tox/", ".idea/", ".vscode/", ".DS_Store",
    ".env", ".env.*",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line: what it matches, whether folders only, and whether it takes back what an earlier one ignored."""

    regex: re.Pattern[str]
    folders_only: bool
    takes_back: bool


def parse(lines: Iterable[str]) -> tuple[Pattern, ...]:
    """Patterns of an ignore file, in its order. A line that is no valid pattern matches nothing, as in git."""
    return tuple(pattern for line in lines if (pattern := _pattern(line)))


def ignored(patterns: Iterable[Pattern], path: str, folder: bool) -> bool:
    """Whether `path` (relative, with `/`) is left out. The caller does not descend into an ignored folder."""
    verdict = False
    for pattern in patterns:
        if (folder or not pattern.folders_only) and pattern.regex.fullmatch(path):
            verdict = not pattern.takes_back
    return verdict


def _pattern(line: str) -> Pattern | None:
    text = line.rstrip("\r\n")
    text = re.sub(r"(?<!\\) +$", "", text)
    if not text or text.startswith("#"):
        return None
    takes_back = text.startswith("!")
    text = text[1:] if takes_back else text
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    try:
        regex = re.compile(("" if anchored else "(?:.*/)?") + _translate(text.lstrip("/")), re.DOTALL)
    except re.error:
        return None
    return Pattern(regex, folders_only, takes_back) if text else None


_TOKEN = re.compile(
    r"(?P<any>(?:^|(?<=/))\*\*/)|(?P<rest>(?<=/)\*\*$)|\*+|\?|\[(?P<not>[!^]?)(?P<set>\]?[^\]]*)\]|\\(?P<escaped>.)", re.DOTALL
)


def _translate(text: str) -> str:
    out, at = [], 0
    for found in _TOKEN.finditer(text):
        out += [re.escape(text[at : found.start()]), _piece(found)]
        at = found.end()
    return "".join([*out, re.escape(text[at:])])


def _piece(found: re.Match[str]) -> str:
    token = found.group()
    if found["any"]:
        return "(?:.*/)?"
    if found["rest"]:
        return ".+"
    if found["escaped"]:
        return re.escape(found["escaped"])
    if token[0] == "[":
        inside = found["set"].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
        return f"(?!/)[{'^' if found['not'] else ''}{inside}]"
    return "[^/]" if token == "?" else "[^/]*"
