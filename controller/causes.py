"""What npm, pip, node and python mean when they fail: a reason for programs and words for people, from what they wrote. Pure."""

from __future__ import annotations

import re

# (what the tool wrote, reason, sentence); the first that matches counts. pip says "no matching distribution" also after
# it could not reach the index, so the network comes first.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNRESET|ENETUNREACH|ERR_SOCKET_TIMEOUT|NewConnectionError|NameResolutionError"
        r"|ConnectTimeoutError|ReadTimeoutError|Failed to establish a new connection|Connection refused"
        r"|npm (?:ERR!|error) code E5\d\d)",
        "RegistryUnavailable",
        "the package registry could not be reached",
    ),
    (
        r"npm (?:ERR!|error) code E40[13]|\b40[13] (?:Client )?Error",
        "RegistryDenied",
        "the package registry wants other credentials",
    ),
    (r"npm (?:ERR!|error) code EJSONPARSE", "SyntaxError", "package.json is not valid JSON"),
    (
        r"npm (?:ERR!|error) code EUSAGE",
        "DependencyFailed",
        "package-lock.json does not fit package.json: run `npm install` and deploy again",
    ),
    (
        r"npm (?:ERR!|error) 404 +(?:The requested resource )?'(?P<what>[^' ]+@[^' ]+)'",
        "DependencyFailed",
        "there is no npm package {what}",
    ),
    (r"npm (?:ERR!|error) code E404", "DependencyFailed", "a package that package.json names does not exist"),
    (r"No matching version found for (?P<what>\S+?)\.?$", "DependencyFailed", "there is no npm package {what}"),
    (r"No matching distribution found for (?P<what>.+?)$", "DependencyFailed", "there is no Python package {what}"),
    (
        r"(?:Invalid requirement|InvalidRequirement).*?(?P<what>['\"].*)$",
        "DependencyFailed",
        "requirements.txt is not valid: {what}",
    ),
    (
        r"Could not open requirements file.*?(?P<what>['\"].*)$",
        "DependencyFailed",
        "requirements.txt names another file that is missing: {what}",
    ),
    (r"ENOSPC|No space left on device", "DiskFull", "the disk is full"),
    (r"^(?P<what>\w*SyntaxError: .*)$", "SyntaxError", "{what}"),
)
_COMPILED = tuple((re.compile(pattern, re.MULTILINE), reason, words) for pattern, reason, words in _CAUSES)
_PLACE = re.compile(r'^(?:\s*File "(?P<py>[^"]+)", line (?P<pyline>\d+)|(?P<js>(?:file://)?/\S+):(?P<jsline>\d+)$)', re.MULTILINE)


def cause(text: str) -> tuple[str, str] | None:
    """(reason, words) of the first known cause in what a tool wrote; None when there is none."""
    for pattern, reason, words in _COMPILED:
        if found := pattern.search(text):
            told = words.format(**found.groupdict())
            return reason, f"{told}{_place(text) if reason == 'SyntaxError' else ''}"
    return None


def _place(text: str) -> str:
    """ " (handler.js, line 3)" when the tool named the place of a syntax error."""
    found = _PLACE.search(text)
    if found is None:
        return ""
    path, line = found["py"] or found["js"], found["pyline"] or found["jsline"]
    return f" ({path.rpartition('/app/')[2]}, line {line})"
