"""The controller's nouns: Function, its spec and status, Condition.

Frozen data, decoded and checked elsewhere; no clock and no socket in here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

FunctionType = Literal["HTTP", "EVENT"]
ConditionStatus = Literal["True", "False", "Unknown"]


class Scaling(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How many replicas a function may have, and what decides between the bounds."""

    min: int = 0  # replicas kept even when idle
    max: int = 10  # replicas never exceeded
    initial: int = 1  # replicas a new revision must have had ready before it is routed
    metric: Literal["concurrency", "rps"] = "concurrency"
    target: float = 0.0  # in flight (concurrency) or requests/s (rps) per replica; 0 = the metric's default
    idle_grace: float = 30.0  # seconds without a request before the last replica goes


class Resources(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Limits of one replica, in Kubernetes' notation."""

    memory: str = "256Mi"
    cpu: str = "1"


class Trigger(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A source of events for a function of type EVENT."""

    broker: str
    subject: str


class Git(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A source that is fetched from a git repository when it is built."""

    url: str  # https://…, http://…, ssh://… or git@HOST:…
    ref: str = ""  # branch, tag or commit; "" = the repository's default branch
    path: str = ""  # folder inside the repository; "" = all of it
    secret: str = ""  # Secret with `username` and `password`, or `ssh-privatekey`; "" = none is needed


class Share(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The part of a function's requests that one revision gets."""

    revision: str = ""  # its name; "" = the newest, the one that the rest of the spec asks for
    percent: int


class FunctionSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What the user asks for: one document in SQLite, one `spec` in a Kubernetes custom resource."""

    type: FunctionType = "HTTP"
    runtime: str = ""  # "node" | "python" | "dockerfile", or "" with an image
    source: str = ""  # "sha256:<hex>" of the canonical tar; the store of sources has the bytes
    git: Git | None = None  # instead of source
    image: str = ""  # an image that is there already: instead of runtime and source
    port: int = 0  # where the program in `image` listens; 0 = 8080, told to it as $PORT
    entry: str = ""  # file that holds the handler; "" = the runtime's own rule
    env: dict[str, str] = {}
    env_from: tuple[str, ...] = ()  # Secrets whose keys become variables
    image_pull_secrets: tuple[str, ...] = ()  # Secrets to pull the image with
    deploy: Literal["auto", "manual"] = "auto"  # "manual": what is built waits to be released
    restart: str = ""  # any text: another one starts the same artifact anew, as a new revision
    replicas: int | None = None  # pinned: the autoscaler lets go; absent = it decides
    traffic: tuple[Share, ...] = ()  # empty = all to the newest
    scaling: Scaling = Scaling()
    resources: Resources = Resources()
    timeout: float = 60.0  # seconds, request head received -> response head
    idle_timeout: float = 300.0  # seconds between bytes after that
    max_duration: float = 0.0  # seconds for the whole exchange; 0 = off
    drain_timeout: float = 600.0  # seconds that streams keep a retiring revision
    concurrency: int = 0  # hard limit of requests in flight in one replica; 0 = none
    queue_limit: int = 1000  # requests that may wait for a replica; 0 = any number
    queue_bytes: int = 64 << 20  # bytes that waiting requests may hold; 0 = any number
    body_limit: int = 0  # bytes of one request's body; 0 = any number
    sticky: str = ""  # "cookie:NAME" or "header:NAME": requests with the same value go to the same replica
    client_abort: Literal["", "fin"] = ""  # "fin": a client that closes its side behind a request cancels it
    upgrades: tuple[str, ...] = ("websocket",)  # protocols that a connection may be upgraded to
    triggers: tuple[Trigger, ...] = ()


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One fact about a function, in the shape of Kubernetes' metav1.Condition."""

    type: str  # "Built", "Deployed", "Routed", "Ready"; "Subscribed" of type EVENT
    status: ConditionStatus
    reason: str = ""  # CamelCase, for programs
    message: str = ""  # a sentence, for people
    last_transition_time: str = ""  # RFC 3339


class Revision(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One artifact with the settings its processes run with. Immutable, save for the moment it was proven."""

    name: str  # "<function>-<generation:05d>"
    generation: int  # of the function when it was made
    artifact: str
    spec: FunctionSpec
    created_at: str = ""  # RFC 3339
    proven_at: str = ""  # when `scaling.initial` of its replicas had been ready; "" = not yet


class BuildFailure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why the last build made nothing, and what would be the same build once more."""

    reason: str = ""  # CamelCase
    message: str = ""
    generation: int = 0  # of the function, when the build was asked for
    attempt: int = 1
    ended_at: str = ""  # RFC 3339
    may_pass: bool = False  # it is tried again by itself
    builder: str = ""  # names the settings of the platform that it was built with


class BuildReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of the last build."""

    artifact: str = ""  # digest (local: of the build folder; cluster: image by digest); "" = failed
    commit: str = ""  # that `git.ref` meant
    seconds: float = 0.0
    cached: bool = False
    log: tuple[str, ...] = ()  # the last lines
    failure: BuildFailure | None = None


class FunctionStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the controller observed."""

    observed_generation: int = 0
    revision: str = ""  # the routed revision, "<name>-<generation:05d>"
    replicas: int = 0  # ready now
    wanted: int = 0  # asked for by the autoscaler
    url: str = ""
    traffic: tuple[Share, ...] = ()  # who has it now
    build: BuildReport | None = None  # the last one that ended
    conditions: tuple[Condition, ...] = ()


class Function(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A function as stored: identity, the user's spec, the controller's status."""

    name: str  # a DNS label (RFC 1123)
    project: str = "default"
    generation: int = 1  # counts changes of the spec
    created_at: str = ""  # RFC 3339
    updated_at: str = ""
    deleting: bool = False
    released: int = 0  # the generation that may be deployed with `deploy: manual`
    spec: FunctionSpec
    status: FunctionStatus = FunctionStatus()
