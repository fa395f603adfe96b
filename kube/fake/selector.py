"""Label and field selectors in Kubernetes' notation, on manifests."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Test = Callable[[dict[str, Any]], bool]
SET_TERM = re.compile(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)")
SPLIT = re.compile(r",(?![^(]*\))")  # commas outside parentheses


def labels_match(selector: str) -> Test:
    """"a=b", "a!=b", "a", "!a", "a in (b,c)", "a notin (b)", joined by commas."""  # fmt: skip
    return _all([_on_labels(_label_term(term.strip())) for term in SPLIT.split(selector) if term.strip()])


def fields_match(selector: str) -> Test:
    """"metadata.name=hello", "status.phase!=Running", joined by commas."""  # fmt: skip
    return _all([_field_term(term.strip()) for term in selector.split(",") if term.strip()])


def _all(tests: list[Test]) -> Test:
    return lambda manifest: all(test(manifest) for test in tests)


def _on_labels(test: Callable[[dict[str, str]], bool]) -> Test:
    return lambda manifest: test(manifest["metadata"].get("labels") or {})


def _label_term(term: str) -> Callable[[dict[str, str]], bool]:
    found = SET_TERM.fullmatch(term)
    if found:
        key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        return (lambda labels: labels.get(key) in values) if operator == "in" else (lambda labels: labels.get(key) not in values)
    if "=" in term:
        key, negated, value = _equation(term)
        return lambda labels: (labels.get(key) == value) != negated
    if term.startswith("!"):
        return lambda labels: term[1:] not in labels
    return lambda labels: term in labels


def _field_term(term: str) -> Test:
    path, negated, value = _equation(term)
    return lambda manifest: (str(_field(manifest, path)) == value) != negated


def _equation(term: str) -> tuple[str, bool, str]:
    key, _, value = term.partition("=")
    return key.rstrip("!").strip(), key.endswith("!"), value.lstrip("=").strip()


def _field(manifest: dict[str, Any], path: str) -> Any:
    value: Any = manifest
    for step in path.split("."):
        value = value.get(step, "") if isinstance(value, dict) else ""
    return value
