"""A route's annotations as settings, policy, probe and backends, each fault in words. No clock and no socket in here.

Every setting of router.model.Settings is an annotation of its name (`cloudbase.dev/queue-limit`), every part of
autoscaler.model.Policy one that begins with `scale-` (`cloudbase.dev/scale-idle-grace`). A group with a bad value keeps what it
was before as a whole: half of an edit may be worse than none of it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, Final

from autoscaler.model import TARGETS, Policy
from router.kube.model import Described, Fault, Intercept, Probe, Share
from router.kube.names import BACKENDS, DEPLOYMENT, INTERCEPT, PORT, PREFIX, PROBE, RETIRED, SCALING
from router.model import Settings
from router.sticky import is_rule

Annotations = Mapping[str, str]

LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_TOKENS: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]+(,[!#$%&'*+.^_`|~0-9A-Za-z/-]+)*", re.ASCII)
_MAY_BE_ZERO: Final = {"timeout": False}
_WORDS: Final = {"minimum": "min", "maximum": "max"}
_WAYS: Final[tuple[Intercept, ...]] = ("true", "joining", "leaving")
WEIGHT_MOST: Final = 1_000_000


class Bad(ValueError):
    """One annotation that cannot be: its key and why."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"annotation {key}: {why}")


@dataclass(frozen=True, slots=True)
class Known:
    """One annotation, the field that it sets, and how it is read."""

    key: str
    field: str
    read: Callable[[str, str], Any]


def describe(own: Annotations, name: str, last: Described | None) -> tuple[Described, tuple[Fault, ...]]:
    """What the annotations of the route's Service `name` say; where they are bad, what they said last, or the defaults."""
    faults: list[Fault] = []

    def group(read: Callable[[], Any], before: Any) -> Any:
        try:
            return read()
        except Bad as bad:
            faults.append(Fault("BadAnnotation", f"{bad}; what held before it stays"))
            return before

    itself = (Share(name),)
    shares = group(lambda: backends(own, name), last.shares if last else itself)
    settings = group(lambda: _settings(own), last.settings if last else Settings())
    policy = group(lambda: _policy(own, settings), last.policy if last else None)
    asked = group(lambda: probe(own), last.probe if last else None)
    how = group(lambda: _intercept(own), last.intercept if last else "")
    faults += _strangers(own)
    return Described(shares, settings, policy, asked, how), tuple(faults)


def backends(own: Annotations, name: str) -> tuple[Share, ...]:
    """The backends that the annotation names, the Service itself without one. Raises Bad."""
    text = own.get(BACKENDS)
    if text is None:
        return (Share(name),)
    found = _json(BACKENDS, text)
    if not isinstance(found, list) or not found:
        raise Bad(BACKENDS, 'must be a list like [{"service": "hello-00002", "weight": 100}]')
    shares = tuple(_share(each, index) for index, each in enumerate(found))
    names = [share.service for share in shares]
    if twice := next((each for each in names if names.count(each) > 1), ""):
        raise Bad(BACKENDS, f"names the Service {twice!r} twice")
    if not any(share.weight for share in shares):
        raise Bad(BACKENDS, "gives no backend a weight above 0, so that no request could go anywhere")
    return shares


def probe(own: Annotations) -> Probe | None:
    """The readiness probe, in the words of a pod template. Raises Bad."""
    text = own.get(PROBE)
    if text is None:
        return None
    found = _json(PROBE, text)
    kinds = [kind for kind in ("httpGet", "tcpSocket", "grpc") if isinstance(found, dict) and kind in found]
    if len(kinds) != 1 or not isinstance(found[kinds[0]], dict):
        raise Bad(PROBE, 'must have one of httpGet, tcpSocket and grpc, as in {"httpGet": {"path": "/ready", "port": 8080}}')
    what = found[kinds[0]]
    return Probe(
        kind={"httpGet": "http", "tcpSocket": "tcp"}.get(kinds[0], "grpc"),  # type: ignore[arg-type]
        port=_probe_port(what.get("port", 0)),
        path=_probe_path(what.get("path", "/")),
        fields=_probe_fields(what.get("httpHeaders", [])),
        tls=what.get("scheme", "HTTP") == "HTTPS",
        service=str(what.get("service") or ""),
        timeout=_seconds_of_probe(found.get("timeoutSeconds", 1)),
    )


def scaled_by_us(own: Annotations) -> bool:
    """Whether nobody else has taken over. Raises Bad."""
    value = own.get(SCALING, "router")
    if value not in ("router", "external"):
        raise Bad(SCALING, f'must be "router" or "external", was {value!r}')
    return value == "router"


def _intercept(own: Annotations) -> Intercept:
    value = own.get(INTERCEPT, "")
    for way in _WAYS:
        if value == way:
            return way
    if value in ("", "false"):
        return ""
    raise Bad(INTERCEPT, f'must be "true" or "false", was {value!r}')


def _settings(own: Annotations) -> Settings:
    return Settings(**{known.field: known.read(known.key, own[known.key]) for known in SETTINGS if known.key in own})


def _policy(own: Annotations, settings: Settings) -> Policy | None:
    if not scaled_by_us(own):
        return None
    given = {known.field: known.read(known.key, own[known.key]) for known in POLICY if known.key in own}
    metric = given.get("metric", "concurrency")
    if "target" not in given and metric in TARGETS:
        limit = settings.concurrency if metric == "concurrency" else 0
        given["target"] = 0.7 * limit if limit else TARGETS[metric]
    try:
        return Policy(**given)
    except ValueError as error:
        raise Bad(PREFIX + "scale-*", str(error)) from error


# --- values ---


def _seconds(key: str, text: str) -> float:
    value = _number(key, text)
    if value < 0 or (value == 0 and not _MAY_BE_ZERO.get(key.removeprefix(PREFIX), True)):
        raise Bad(key, f"must be {'at least' if value < 0 else 'more than'} 0 seconds, was {text!r}")
    return value


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise Bad(key, f"must be a number, was {text!r}") from None
    if not isfinite(value):
        raise Bad(key, f"must be a finite number, was {text!r}")
    return value


def _count(key: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        raise Bad(key, f"must be a whole number, 0 or more, was {text!r}")
    return int(text)


def _sticky(key: str, text: str) -> str:
    if text and not is_rule(text):
        raise Bad(key, f'must be "cookie:NAME" or "header:NAME", was {text!r}')
    return text


def _abort(key: str, text: str) -> str:
    if text not in ("", "fin"):
        raise Bad(key, f'must be "fin" or empty, was {text!r}')
    return text


def _tokens(key: str, text: str) -> tuple[str, ...]:
    joined = text.replace(" ", "")
    if joined and not _TOKENS.fullmatch(joined):
        raise Bad(key, f'must list protocols like "websocket", was {text!r}')
    return tuple(joined.lower().split(",")) if joined else ()


def _text(key: str, text: str) -> str:
    return text


_SPECIAL: Final[dict[str, Callable[[str, str], Any]]] = {
    "sticky": _sticky,
    "client_abort": _abort,
    "upgrades": _tokens,
    "metric": _text,
    "target": _number,
    "panic_threshold": _number,
    "max_up": _number,
    "max_down": _number,
}


def _known(kind: type[Any], prefix: str) -> tuple[Known, ...]:
    usual: dict[str, Callable[[str, str], Any]] = {"int": _count, "float": _seconds}
    return tuple(
        Known(
            PREFIX + prefix + _WORDS.get(one.name, one.name).replace("_", "-"),
            one.name,
            _SPECIAL[one.name] if one.name in _SPECIAL else usual[str(one.type)],
        )
        for one in fields(kind)
    )


SETTINGS: Final = _known(Settings, "")
POLICY: Final = _known(Policy, "scale-")
KEYS: Final = (*(known.key for known in (*SETTINGS, *POLICY)), BACKENDS, SCALING, RETIRED, INTERCEPT, DEPLOYMENT, PORT, PROBE)


def _strangers(own: Annotations) -> list[Fault]:
    """Annotations that look like one of ours, misspelt. Others may be of other parts of the platform."""
    return [
        Fault("BadAnnotation", f"annotation {key}: there is none of this name; did you mean {near[0]}?")
        for key in own
        if key.startswith(PREFIX) and key not in KEYS and (near := difflib.get_close_matches(key, KEYS, 1, 0.9))
    ]


# --- JSON ---


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Bad(key, f"is not JSON: {error}") from error


def _share(found: Any, index: int) -> Share:
    where = f"entry {index}"
    if not isinstance(found, dict) or not isinstance(found.get("service"), str):
        raise Bad(BACKENDS, f'{where} must be an object with a "service"')
    if not LABEL.fullmatch(found["service"]):
        raise Bad(BACKENDS, f"{where}: {found['service']!r} cannot be a Service's name")
    weight = found.get("weight", 100)
    if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= WEIGHT_MOST:
        raise Bad(BACKENDS, f"{where}: weight must be a whole number from 0 to {WEIGHT_MOST}, was {weight!r}")
    return Share(found["service"], weight)


def _probe_port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise Bad(PROBE, f"port must be a number, was {value!r}; a container port's name is not known here")
    return value


def _probe_path(value: Any) -> str:
    path = str(value or "/")
    path = path if path.startswith("/") else "/" + path
    if not re.fullmatch(r"[!-~]+", path, re.ASCII):
        raise Bad(PROBE, f"path has characters that no request line may have: {path!r}")
    return path


def _probe_fields(value: Any) -> tuple[tuple[str, str], ...]:
    try:
        pairs = tuple((str(each["name"]), str(each["value"])) for each in value)
    except (TypeError, KeyError):
        raise Bad(PROBE, 'httpHeaders must be a list of {"name": …, "value": …}') from None
    for name, content in pairs:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name, re.ASCII) or not re.fullmatch(r"[\t -~]*", content, re.ASCII):
            raise Bad(PROBE, f"httpHeaders: {name!r} is no field that a request may have")
    return pairs


def _seconds_of_probe(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 60:
        raise Bad(PROBE, f"timeoutSeconds must be above 0 and at most 60, was {value!r}")
    return float(value)
