"""One schema and one validation of functions, for the API and for Kubernetes' admission: both say the same words.

Pure: `decode` reads a document's shape, `validate` judges its sense. Fields are named as the user wrote them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator

import msgspec

from autoscaler.model import Policy
from controller import quantity, shape
from controller.errors import FieldError, Invalid
from controller.model import FunctionSpec, Git
from router.sticky import is_rule

RUNTIMES = ("node", "python", "dockerfile")  # the last: the source's own Dockerfile says everything
NAME_LENGTH = 52  # characters: "<name>-00001" and what Kubernetes appends to it must be labels (63) as well
RESTART_LENGTH = 64  # characters: it is a label for people, not a document
REPLICAS = 1000  # no function may ask for more
CONCURRENCY = 10_000  # requests in flight in one replica
WAITING = 1_000_000  # requests that may wait for one function
BYTES = 1 << 40  # no bound of bytes is larger
SECONDS = 86_400.0  # no time budget is longer than a day
ENV_BYTES = 256 << 10  # of all variables together; Linux takes 128 KiB in one string and 2 MiB in all
ENV_VALUE_BYTES = 64 << 10
MEMORY_MINIMUM = 16 << 20  # bytes: below that neither runtime starts
CPU_MINIMUM = 0.01

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)  # DNS subdomain, RFC 1123
_IMAGE = re.compile(  # github.com/distribution/reference, without what nobody writes
    r"([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?", re.ASCII
)
_GIT_REF = re.compile(r"[\w./@+-]{1,255}", re.ASCII)
_GIT_URL = re.compile(r"(https?|ssh)://[^\s]+|[\w.-]+@[\w.-]+:[^\s]+", re.ASCII)
_GIT_PASSWORD = re.compile(r"https?://[^/@\s]*@", re.ASCII)
_PROTOCOL = re.compile(r"[!#$%&'*+.^_`|~0-9a-z/-]+", re.ASCII)  # RFC 9110 7.8, lower case
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)

Errors = Iterator[FieldError]


def decode(document: object) -> FunctionSpec:
    """A spec from decoded JSON. Raises Invalid with every unknown, missing or mistyped field, near matches suggested."""
    if errors := list(shape.errors(document, FunctionSpec)):
        raise Invalid(errors)
    return msgspec.convert(document, FunctionSpec)


def validate(name: str, spec: FunctionSpec) -> list[FieldError]:
    """Everything about the function that cannot work, in the order of its fields; [] when it can."""
    return [error for rule in _RULES for error in rule(name, spec)]


def judged(name: str, document: object) -> list[FieldError]:
    """What is wrong with a document, as `decode` and `validate` tell it; its sense only where its shape is right."""
    try:
        return validate(name, decode(document))
    except Invalid as error:
        return error.errors


def taken(holder: str) -> FieldError:
    """A name whose address somebody else has: `holder` is "Function b/hello"."""
    return FieldError(
        "name",
        f"is taken: {holder} answers at its address already; choose another name, or give one of the namespaces a project of"
        " its own (label cloudbase.dev/project)",
    )


def policy(spec: FunctionSpec) -> Policy:
    """What the spec's scaling means to the autoscaler.

    Targets are Knative's defaults: 70 % of 100 in flight, of a hard limit where there is one, or of 200 requests/s.
    """
    scaling = spec.scaling
    usual = 140.0 if scaling.metric == "rps" else 0.7 * (spec.concurrency or 100)
    return Policy(
        minimum=scaling.min,
        maximum=scaling.max,
        metric=scaling.metric,
        target=scaling.target or usual,
        idle_grace=scaling.idle_grace,
    )


def label(text: str, what: str = "a name") -> str:
    """Why `text` is no DNS label that functions may have (RFC 1123); "" when it is one."""
    if not text:
        return f"is missing: give {what} of lower-case letters, digits and -"
    if len(text) > NAME_LENGTH:
        return f"has {len(text)} characters: {NAME_LENGTH} are allowed, so that its revisions' names are DNS labels too"
    if not _LABEL.fullmatch(text):
        return f'is not a DNS label: "{text}"; use lower-case letters, digits and -, beginning and ending with a letter or digit'
    return ""


def _name(name: str, spec: FunctionSpec) -> Errors:
    if problem := label(name):
        yield FieldError("name", problem)


def _runtime(name: str, spec: FunctionSpec) -> Errors:
    if spec.image:
        yield from _beside_image(spec)
    elif not spec.runtime:
        yield FieldError("runtime", f"is missing: use {', '.join(RUNTIMES[:-1])} or {RUNTIMES[-1]}, or give an image")
    elif spec.runtime not in RUNTIMES:
        near = difflib.get_close_matches(spec.runtime.lower(), RUNTIMES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        yield FieldError(
            "runtime", f'there is no runtime "{spec.runtime}": use {", ".join(RUNTIMES[:-1])} or {RUNTIMES[-1]}{hint}'
        )


def _beside_image(spec: FunctionSpec) -> Errors:
    if not _IMAGE.fullmatch(spec.image):
        yield FieldError("image", f'is not the name of an image: "{spec.image}"; write registry/name:tag or name@sha256:…')
    for field, value in (("runtime", spec.runtime), ("source", spec.source), ("git", spec.git), ("entry", spec.entry)):
        if value:
            yield FieldError(field, "must be absent with an image, which is run as it is")


def _source(name: str, spec: FunctionSpec) -> Errors:
    if spec.image:
        return
    if spec.git:
        yield from _git(spec.git)
        if spec.source:
            yield FieldError("source", "must be absent with git, which is the source")
    elif not spec.source:
        yield FieldError("source", "is missing: send the function's files along")
    elif not _DIGEST.fullmatch(spec.source):
        yield FieldError("source", f'is not a digest: "{spec.source}"; it is sha256: and 64 hexadecimal digits')


def _git(git: Git) -> Errors:
    if not _GIT_URL.fullmatch(git.url):
        yield FieldError(
            "git.url", f'is not the address of a repository: "{git.url}"; use https://, http://, ssh:// or git@HOST:PATH'
        )
    elif _GIT_PASSWORD.match(git.url):
        yield FieldError("git.url", "must not have a user or password in it: put them into a Secret and name it in git.secret")
    if git.ref and (git.ref.startswith("-") or not _GIT_REF.fullmatch(git.ref)):
        yield FieldError("git.ref", f'is not a branch, tag or commit: "{git.ref}"')
    if git.path and not _inside(git.path):
        yield FieldError("git.path", f'is not a path inside the repository: "{git.path}"')
    if git.secret and not _OBJECT_NAME.fullmatch(git.secret):
        yield FieldError("git.secret", f'is not the name of a Secret: "{git.secret}"')


def _inside(path: str) -> bool:
    parts = path.split("/")
    return not (".." in parts or "" in parts or "\0" in path or "\\" in path)


def _entry(name: str, spec: FunctionSpec) -> Errors:
    if spec.entry and not _inside(spec.entry):
        yield FieldError("entry", f'is not a path inside the source: "{spec.entry}"')


def _env(name: str, spec: FunctionSpec) -> Errors:
    for key, value in spec.env.items():
        if problem := _variable(key, value):
            yield FieldError(f"env.{key}", problem)
    if sum(len(key) + len(value.encode()) + 2 for key, value in spec.env.items()) > ENV_BYTES:
        yield FieldError("env", f"is larger than {ENV_BYTES >> 10} KiB in all: put large values into a file")


def _variable(key: str, value: str) -> str:
    if not _ENV_NAME.fullmatch(key):
        return "is not a name of an environment variable: use letters, digits and _, not beginning with a digit"
    if key == "PORT" or key.startswith("CLOUDBASE_"):
        return "is set by the platform: choose another name"
    if "\0" in value:
        return "must not have a NUL character in its value"
    return f"is longer than {ENV_VALUE_BYTES >> 10} KiB" if len(value.encode()) > ENV_VALUE_BYTES else ""


def _scaling(name: str, spec: FunctionSpec) -> Errors:
    scaling = spec.scaling
    yield from _within("scaling.min", scaling.min, 0, REPLICAS)
    yield from _within("scaling.max", scaling.max, 1, REPLICAS)
    yield from _within("scaling.initial", scaling.initial, 0, REPLICAS)
    yield from _within("scaling.idleGrace", scaling.idle_grace, 0, SECONDS)
    yield from _within("scaling.target", scaling.target, 0, 1e6)
    if scaling.min > scaling.max:
        yield FieldError("scaling.min", f"is {scaling.min}, above scaling.max, which is {scaling.max}")
    if 1 <= scaling.max < scaling.initial:
        yield FieldError("scaling.initial", f"is {scaling.initial}, above scaling.max, which is {scaling.max}")
    if scaling.metric == "concurrency" and 0 < spec.concurrency < scaling.target:
        yield FieldError(
            "scaling.target", f"is {scaling.target:g}, which the hard limit concurrency of {spec.concurrency} never lets it reach"
        )


def _resources(name: str, spec: FunctionSpec) -> Errors:
    measures: tuple[tuple[str, str, Callable[[str], float], float, str], ...] = (
        ("resources.memory", spec.resources.memory, quantity.memory_bytes, MEMORY_MINIMUM, "16Mi"),
        ("resources.cpu", spec.resources.cpu, quantity.cpus, CPU_MINIMUM, "10m"),
    )
    for field, text, measure, least, words in measures:
        try:
            if measure(text) < least:
                yield FieldError(field, f"must be at least {words}, was {text}")
        except ValueError as error:
            yield FieldError(field, str(error))


def _times(name: str, spec: FunctionSpec) -> Errors:
    yield from _within("timeout", spec.timeout, 0, SECONDS)
    yield from _within("idleTimeout", spec.idle_timeout, 0, SECONDS)
    yield from _within("maxDuration", spec.max_duration, 0, SECONDS)
    yield from _within("drainTimeout", spec.drain_timeout, 0, SECONDS)
    if 0 < spec.max_duration < spec.timeout:
        yield FieldError(
            "maxDuration",
            f"is {spec.max_duration:g} s, shorter than timeout, which is {spec.timeout:g} s: the timeout could never be used",
        )
    if spec.drain_timeout < spec.timeout:
        yield FieldError(
            "drainTimeout",
            f"is {spec.drain_timeout:g} s, shorter than timeout, which is {spec.timeout:g} s: an update would cut requests off",
        )


def _concurrency(name: str, spec: FunctionSpec) -> Errors:
    yield from _within("concurrency", spec.concurrency, 0, CONCURRENCY)


def _requests(name: str, spec: FunctionSpec) -> Errors:
    yield from _within("queueLimit", spec.queue_limit, 0, WAITING)
    yield from _within("queueBytes", spec.queue_bytes, 0, BYTES)
    yield from _within("bodyLimit", spec.body_limit, 0, BYTES)
    if spec.sticky and not is_rule(spec.sticky):
        yield FieldError("sticky", f'must be "cookie:NAME" or "header:NAME", was "{spec.sticky}"')
    for index, protocol in enumerate(spec.upgrades):
        if not _PROTOCOL.fullmatch(protocol):
            yield FieldError(f"upgrades[{index}]", f'is not the name of a protocol in lower case: "{protocol}"')


def _port(name: str, spec: FunctionSpec) -> Errors:
    if spec.port and not spec.image:
        yield FieldError("port", "must be absent without an image: what is built here listens on $PORT")
    yield from _within("port", spec.port, 0, 65535)


def _secrets(name: str, spec: FunctionSpec) -> Errors:
    for field, names in (("envFrom", spec.env_from), ("imagePullSecrets", spec.image_pull_secrets)):
        for index, each in enumerate(names):
            if not _OBJECT_NAME.fullmatch(each):
                yield FieldError(f"{field}[{index}]", f'is not the name of a Secret: "{each}"')


def _replicas(name: str, spec: FunctionSpec) -> Errors:
    if spec.replicas is not None:
        yield from _within("replicas", spec.replicas, 0, REPLICAS)


def _traffic(name: str, spec: FunctionSpec) -> Errors:
    for index, share in enumerate(spec.traffic):
        yield from _within(f"traffic[{index}].percent", share.percent, 1, 100)
        if share.revision and not re.fullmatch(rf"{re.escape(name)}-[0-9]{{5,}}", share.revision, re.ASCII):
            yield FieldError(
                f"traffic[{index}].revision", f'is no revision of {name}: "{share.revision}"; they are {name}-00001 and so on'
            )
        if share.revision in [each.revision for each in spec.traffic[:index]]:
            yield FieldError(f"traffic[{index}].revision", f"is given twice: {share.revision or 'the newest'}")
    if spec.traffic and (whole := sum(share.percent for share in spec.traffic)) != 100:
        yield FieldError("traffic", f"must add up to 100 percent, was {whole}")


def _restart(name: str, spec: FunctionSpec) -> Errors:
    if len(spec.restart) > RESTART_LENGTH:
        yield FieldError("restart", f"has {len(spec.restart)} characters: {RESTART_LENGTH} are allowed; a time will do")


def _triggers(name: str, spec: FunctionSpec) -> Errors:
    if spec.type == "EVENT" and not spec.triggers:
        yield FieldError("triggers", "is empty: a function of type EVENT needs at least one")
    if spec.type == "HTTP" and spec.triggers:
        yield FieldError("triggers", "must be empty for a function of type HTTP: set type to EVENT")
    for index, trigger in enumerate(spec.triggers):
        for field in ("broker", "subject"):
            if not getattr(trigger, field).strip():
                yield FieldError(f"triggers[{index}].{field}", "is empty")
        if trigger in spec.triggers[:index]:
            yield FieldError(f"triggers[{index}]", f"is the same as triggers[{spec.triggers.index(trigger)}]")


def _within(field: str, value: float, least: float, most: float) -> Errors:
    if not least <= value <= most:
        yield FieldError(field, f"must be from {least:g} to {most:g}, was {value:g}")


_RULES: tuple[Callable[[str, FunctionSpec], Errors], ...] = (
    _name,
    _runtime,
    _source,
    _entry,
    _env,
    _scaling,
    _resources,
    _times,
    _requests,
    _port,
    _secrets,
    _restart,
    _replicas,
    _traffic,
    _concurrency,
    _triggers,
)
