"""What plan sees and what it asks for: Observed in, Plan of Actions out. Frozen data, the same locally and in a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.model import FunctionStatus, Revision
from controller.ports import BuildResult, Replica
from router.model import Route


@dataclass(frozen=True, slots=True)
class Build:
    """The last build that was asked for."""

    key: str  # what it builds, as `plan.build_key` names it
    generation: int  # of the function, when it was asked for
    attempt: int = 1  # failures before it for the same key and generation, plus one
    started: bool = False  # False while it waits for a free place
    result: BuildResult | None = None  # None while it waits or runs
    ended: float = 0.0  # unix seconds


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything plan may know of the world, of one function."""

    revisions: tuple[Revision, ...] = ()  # kept ones, oldest first
    build: Build | None = None
    replicas: tuple[Replica, ...] = ()
    applied: Mapping[str, int] = field(default_factory=dict)  # revision -> replicas that the deployer was asked for
    remains: frozenset[str] = frozenset()  # revisions that are not applied, and of which something is left all the same
    drifted: frozenset[str] = frozenset()  # revisions of which something runs otherwise than the deployer would have it
    route: Route | None = None  # as published
    path: str = ""  # where the routers serve it: "/fn/hello"
    in_flight: Mapping[str, int] = field(default_factory=dict)  # replica -> requests now; absent = 0
    draining: Mapping[str, float] = field(default_factory=dict)  # replica -> unix seconds since when it only finishes
    wanted: int = 0  # replicas the autoscaler asked for
    trouble: str = ""  # why the last look could not do what it should, in words
    routers_scale: bool = False  # routers set the replicas of what they route, find and drain them: `applied` tells the number


@dataclass(frozen=True, slots=True)
class StartBuild:
    """Build the spec as it is now; a build under way for another key has become pointless."""

    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StopBuild:
    """Nobody needs the build that is under way."""


@dataclass(frozen=True, slots=True)
class RecordRevision:
    """Keep a revision: a new one, or one that was proven."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class DropRevision:
    """Forget a revision that nobody can go back to any more."""

    revision: str


@dataclass(frozen=True, slots=True)
class ApplyRevision:
    """Let the deployer run this many replicas; those `leaving` are out of the route and idle, and go first."""

    revision: Revision
    replicas: int
    leaving: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishRoute:
    """Let the routers know."""

    route: Route


@dataclass(frozen=True, slots=True)
class RetireRevision:
    """Stop what is left of a revision that takes no traffic any more."""

    revision: str


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """The name answers 404 from now on."""


@dataclass(frozen=True, slots=True)
class WantReplicas:
    """Start the autoscaler's count anew: a fresh revision took over with replicas of its own."""

    replicas: int


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Store what was observed."""

    status: FunctionStatus


@dataclass(frozen=True, slots=True)
class Forget:
    """Nothing of the function is left: remove its document."""


Action = (
    StartBuild
    | StopBuild
    | RecordRevision
    | DropRevision
    | ApplyRevision
    | PublishRoute
    | RetireRevision
    | RemoveRoute
    | WantReplicas
    | SetStatus
    | Forget
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in this order, and when to look again though nothing changes."""

    actions: tuple[Action, ...] = ()
    again_at: float | None = None  # unix seconds
    draining: frozenset[str] = frozenset()  # replicas that only finish what they have
