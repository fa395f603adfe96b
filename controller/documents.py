"""How a Function document changes, the same in every store: pure, stores only keep what comes out."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from controller.errors import Conflict, Overtaken
from controller.model import Function, FunctionSpec


def rfc3339(now: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds: "2026-11-22T23:39:23.125Z"."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(text: str) -> float:
    """Unix seconds of an RFC 3339 time; 0 for the empty one. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def applied(before: Function | None, project: str, name: str, spec: FunctionSpec, now: float, generation: int = 0) -> Function:
    """The document after the user asked for `spec`; `before` itself when that changes nothing. Raises Conflict, Overtaken."""
    expect(name, before.generation if before else 0, generation)
    at = rfc3339(now)
    if before is None:
        return Function(name=name, project=project, spec=spec, created_at=at, updated_at=at)
    if before.deleting:
        raise Conflict(f'function "{name}" is being deleted: wait until it is gone, then create it again')
    if before.spec == spec:
        return before
    return replace(before, spec=spec, generation=before.generation + 1, updated_at=at)


def expect(name: str, there: int, generation: int) -> None:
    """Raises Overtaken where the function is of another generation (0: there is none) than a change was made of (0: of any)."""
    if generation and there != generation:
        now = f"of generation {there}, not {generation}" if there else "gone"
        raise Overtaken(f'function "{name}" was changed meanwhile: it is {now}; read it again, and change that')
