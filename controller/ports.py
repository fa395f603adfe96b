"""What the controller needs of others, in its own words. Adapters live in controller/local and controller/kube."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.model import Function, FunctionSpec, FunctionStatus, Revision
from router.model import Route, RouteKey


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What became of a build: an artifact to run, or a reason in words."""

    artifact: str = ""  # digest (local: of the build folder; cluster: of the image); "" = failed
    reason: str = ""  # CamelCase when failed: "DependencyFailed", "SyntaxError", "Timeout", …
    message: str = ""  # which step failed and why, in words
    log: tuple[str, ...] = ()  # the last lines
    seconds: float = 0.0
    cached: bool = False
    steps: tuple[tuple[str, float], ...] = ()  # kinds of steps, of a fixed few, and the seconds that each took
    commit: str = ""  # of a git source: what `git.ref` meant when it was built
    may_pass: bool = False  # failed for a cause that may pass (registry away, timeout): it is tried again
    leftover: str = ""  # names what the builder keeps of a failed build until `settle`: who dies before finds it there again


@dataclass(frozen=True, slots=True)
class Replica:
    """One running copy of a revision, as the deployer sees it."""

    name: str
    revision: str
    address: str = ""  # as router.model.Endpoint.address; "" until it has one
    ready: bool = False
    restarts: int = 0
    message: str = ""  # why it is not ready: "exited with status 1: SyntaxError: …"
    crash_loop: bool = False
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to do with functions, in the words of Kubernetes' authorization."""

    verb: str = ""  # "get" | "list" | "create" | "update" | "delete"; "" = nothing but to be known
    namespace: str = ""  # "" = all
    name: str = ""  # "" = all, or one to come


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is answered at the door."""

    status: int = 0  # 0 = come in; 401, 403, or 503 when it cannot be found out
    reason: str = ""


class Doorkeeper(Protocol):
    """Knows who bears a token and what they may do. Adapters: one token for all (controller/api), the API server's word."""

    @property
    def hint(self) -> str:
        """Where a token is to be had, as the end of a sentence."""

    async def judge(self, token: str, wish: Wish) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a replica wrote."""

    time: str  # RFC 3339
    replica: str
    stream: str  # "stdout" | "stderr"
    line: str


class FunctionStore(Protocol):
    """Keeps Function documents; the only state that has to survive.

    Reading is from memory or nearly so, and sees what was written by this store at once; writing may ask somebody far away.
    """

    def get(self, project: str, name: str) -> Function | None: ...
    def list(self, project: str | None = None) -> list[Function]: ...
    async def apply(self, project: str, name: str, spec: FunctionSpec, generation: int = 0) -> Function:
        """Create or update; the generation grows only when the spec changes. Raises Conflict while it is being deleted.

        `generation`: that of the function that the spec was made of. Raises Overtaken when it is another by now; 0 = whatever.
        """

    async def set_status(self, project: str, name: str, status: FunctionStatus) -> None: ...
    async def release(self, project: str, name: str) -> Function | None:
        """With `deploy: manual`: what is asked for now may be deployed. None when there is no such function."""

    async def mark_deleting(self, project: str, name: str) -> bool: ...
    async def remove(self, project: str, name: str) -> None: ...
    def watch(self, changed: Callable[[str, str], None]) -> None:
        """Call back with (project, name) after every change."""

    def revisions(self, project: str, name: str) -> Sequence[Revision]:
        """The revisions kept of a function, oldest first; gone with `remove`."""

    async def put_revision(self, project: str, name: str, revision: Revision) -> None:
        """Keep a revision, or replace the one of its name."""

    async def drop_revision(self, project: str, name: str, revision: str) -> None: ...


class SourceStore(Protocol):
    """Keeps source trees by the digest of their canonical tar."""

    async def put(self, files: dict[str, bytes]) -> str:
        """Store a tree (path -> content); returns "sha256:<hex>". Raises BadSource."""

    async def put_archive(self, data: bytes) -> str:
        """Store a tar.gz after checking every member. Raises BadSource: broken, traversal, link out, too large."""

    async def has(self, digest: str) -> bool: ...
    async def prune(self, keep: Collection[str]) -> int:
        """Delete the trees that are not in `keep`, save those too young to be referenced yet; returns how many."""


class Builder(Protocol):
    """Source -> artifact. The same source and runtime are never built twice."""

    async def build(self, function: Function, progress: Callable[[str], None]) -> BuildResult:
        """Build `function.spec`. Cancelled when a newer spec makes it pointless: then nothing half-made is left."""

    async def settle(self, leftover: str) -> None:
        """The failure is stored: a `BuildResult.leftover` may go. What cannot be taken away now does not matter."""

    async def prune(self, keep: Collection[str]) -> int:
        """Delete the artifacts that are not in `keep`, save those being made; returns how many."""


class Deployer(Protocol):
    """Runs replicas of revisions."""

    async def ensure(
        self, function: Function, revision: str, artifact: str, replicas: int, leaving: Collection[str] = ()
    ) -> None:
        """Make that many replicas of the revision run. Returns at once; `observe` tells how far it is.

        `function.spec` is the revision's own. `leaving` names the replicas that go when there are too many: they are
        out of the route and idle.
        """

    async def retire(self, function: Function, revision: str) -> None:
        """Stop every replica of the revision: SIGTERM, grace, SIGKILL."""

    async def forget(self, project: str, name: str) -> None:
        """The function is gone: drop its logs; those who follow them come to the end."""

    def observe(self, project: str, name: str) -> list[Replica]: ...
    def applied(self, project: str, name: str) -> Mapping[str, int]:
        """The revisions that `ensure` was called for and `retire` not yet done with, and the replicas asked for of each."""

    def remains(self, project: str, name: str) -> Collection[str]:
        """Revisions that are not applied and of which something is left that runs nothing: `retire` clears it away."""

    def drifted(self, function: Function, revision: Revision) -> bool:
        """What runs an applied revision is not as `ensure` would make it: somebody edited or deleted a part of it."""

    def watch(self, changed: Callable[[str, str], None]) -> None:
        """Call back with (project, name) whenever a replica's state changed."""

    def logs(self, project: str, name: str, tail: int, follow: bool, replica: str = "") -> AsyncIterator[LogLine]:
        """The last `tail` lines of all replicas, or of one; with `follow`, then every further one as it comes."""

    async def heard(self, project: str, name: str) -> Collection[str]:
        """The replicas that `logs` tells of: those there are, and those that ended while their lines are kept."""


class Published(Protocol):
    """The routes as the routers are told them. Adapters: cloudbase/junction.py in one process, Services in a cluster."""

    def get(self, key: RouteKey) -> Route | None:
        """As published; endpoints are left out where the routers find them by themselves."""

    async def publish(self, route: Route) -> None:
        """Add the route or replace the one with its key. Idempotent."""

    def path(self, key: RouteKey) -> str:
        """Where the routers serve it: "/fn/hello", "/fn/hello.team"."""

    async def withdraw(self, key: RouteKey) -> None:
        """The name answers 404 from now on."""

    def in_flight(self, key: RouteKey, revision: str, address: str) -> int:
        """Requests now at an address of a revision; 0 where the routers drain by themselves."""
