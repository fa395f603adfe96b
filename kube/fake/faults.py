"""What can be made to go wrong with the fake API server, and the record of what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the audit log shows it. The status of a watch is that of its head."""

    verb: str  # as RBAC names it: get, list, watch, create, update, patch, delete
    resource: str  # "services", "deployments.apps/scale"
    namespace: str
    name: str
    status: int
    agent: str
    query: dict[str, str]


@dataclass(slots=True)
class Refusal:
    """Answer the next `times` matching requests with this status. "" matches everything."""

    status: int
    times: int = 1
    verb: str = ""
    resource: str = ""
    retry_after: int = 0  # seconds
    reason: str = ""


@dataclass(slots=True)
class Faults:
    """Set any of these at any time. `silent` freezes the server as SIGSTOP would: connections stay, nothing is answered."""

    silent: bool = False
    delay: float = 0.0  # seconds before each answer
    refusals: list[Refusal] = field(default_factory=list)
    gone_as: Literal["event", "status"] = "event"  # how a watch is told that its version is too old; real servers do both
    reset_watch_after: int = 0  # watch events after which the connection is reset, once; 0 = never
    tokens: set[str] | None = None  # bearer tokens that are accepted; None = no authentication
    allows: Callable[[str, str, str], bool] | None = None  # (verb, resource, namespace) -> allowed; None = everything

    def refusal(self, verb: str, resource: str) -> Refusal | None:
        """The refusal for this request, used up."""
        for refusal in self.refusals:
            if refusal.verb in ("", verb) and refusal.resource in ("", resource):
                refusal.times -= 1
                if refusal.times <= 0:
                    self.refusals.remove(refusal)
                return refusal
        return None
