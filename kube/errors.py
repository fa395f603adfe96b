"""What can go wrong with a request to the API server: each error says verb, object, reason and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """One entry of a Status' `details.causes`: for a conflict of server-side apply or a validation error, one for each field."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(msgspec.Struct, frozen=True, rename="camel"):
    causes: tuple[Cause, ...] | None = None
    retry_after_seconds: int = 0


class Status(msgspec.Struct, frozen=True):
    """metav1.Status: the API server's answer when it says no, and the object of a watch event of type ERROR."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was asked for: the verb as RBAC names it, the resource, and the object ("namespace/name") or collection."""

    verb: str
    resource: str  # "services", "deployments.apps/scale"
    object: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.object}".rstrip()


class KubeError(Exception):
    """The API server refused, or could not be asked. `status` is the HTTP status, 0 when there was no answer."""

    advice = "see the API server's log"

    def __init__(self, attempt: Attempt, status: int, answer: Status) -> None:
        self.attempt = attempt
        self.status = status
        self.reason = answer.reason
        self.message = answer.message
        details = answer.details or StatusDetails()
        self.causes = details.causes or ()
        self.retry_after = float(details.retry_after_seconds)  # seconds that the server asks to wait, 0 = it did not say
        super().__init__(f"{attempt}: {self._headline()}; {self._advice()}")

    def _headline(self) -> str:
        return " ".join(part for part in (str(self.status or ""), self.reason and f"{self.reason}:", self.message) if part)

    def _advice(self) -> str:
        return self.advice


class Unreachable(KubeError):
    """No answer: no connection, a broken one, or silence. A write may or may not have happened."""

    advice = "check the address of the API server, and that it runs"

    def __init__(self, attempt: Attempt, message: str) -> None:
        super().__init__(attempt, 0, Status(message=message, reason="Unreachable"))


class BadRequest(KubeError):
    """400, 405, 415: the request itself is wrong."""

    advice = "this is a defect of the caller, or the API server is too old for it"


class Unauthorized(KubeError):
    """401: the API server does not know who is asking, even after the credentials were read again."""

    advice = "check the service account's token or the user in the kubeconfig"


class Forbidden(KubeError):
    """403: it knows who is asking and does not allow it."""

    def _advice(self) -> str:
        return f"allow the verb {self.attempt.verb!r} on {self.attempt.resource!r} in a Role or ClusterRole bound to that user"


class NotFound(KubeError):
    """404: no such object, or no such kind of object."""

    advice = "create it first; if the kind is unknown, install its CRD"


class Conflict(KubeError):
    """409: the object is not as the write assumed (another resourceVersion or uid)."""

    advice = "read the object again and decide anew"


class AlreadyExists(Conflict):
    """409 on create."""

    advice = "read it, or use server-side apply"


class ApplyConflict(Conflict):
    """409 on server-side apply: others own fields that were to be changed. `causes` names each field and its manager."""

    def _advice(self) -> str:
        fields = ", ".join(f"{cause.field} ({cause.message})" for cause in self.causes)
        return f"leave those fields out, or apply with force to take them: {fields}"


class Gone(KubeError):
    """410: the resourceVersion or the continue token is too old."""

    advice = "list again"


class Invalid(KubeError):
    """422: the object breaks the kind's rules. `causes` names the fields."""

    def _advice(self) -> str:
        return "correct " + (", ".join(cause.field for cause in self.causes if cause.field) or "the object")


class TooManyRequests(KubeError):
    """429: the API server sheds load (priority and fairness), or an eviction would break a disruption budget."""

    advice = "try again later"


class ServerError(KubeError):
    """5xx: the API server has a problem of its own."""


_BY_STATUS: dict[int, type[KubeError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: BadRequest,
    409: Conflict,
    410: Gone,
    415: BadRequest,
    422: Invalid,
    429: TooManyRequests,
}


def refusal(attempt: Attempt, status: int, answer: Status) -> KubeError:
    """The error for an HTTP status (or the code inside an ERROR event) and the Status that came with it."""
    if answer.reason == "AlreadyExists":
        return AlreadyExists(attempt, status, answer)
    causes = (answer.details.causes if answer.details else None) or ()
    if status == 409 and any(cause.reason == "FieldManagerConflict" for cause in causes):
        return ApplyConflict(attempt, status, answer)
    return _BY_STATUS.get(status, ServerError if status >= 500 else BadRequest)(attempt, status, answer)
