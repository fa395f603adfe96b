"""Function and Revision objects as the controller's documents, and back. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from controller import validate
from controller.errors import FieldError, Invalid
from controller.kube.names import FUNCTION, RELEASED
from controller.kube.objects import Kept
from controller.model import Condition, Function, FunctionSpec, FunctionStatus, Revision

_status = msgspec.json.Decoder(FunctionStatus).decode


class _Recorded(msgspec.Struct, frozen=True, rename="camel"):
    function: str
    generation: int
    artifact: str
    spec: FunctionSpec
    created_at: str = ""


class _Proof(msgspec.Struct, frozen=True, rename="camel"):
    proven_at: str = ""


_recorded = msgspec.json.Decoder(_Recorded).decode
_proof = msgspec.json.Decoder(_Proof).decode


def function(item: Kept) -> Function:
    """The document. Raises Invalid where the spec cannot work, as when it was written before the webhooks were there."""
    metadata = item.metadata
    deleting = bool(metadata.deletion_timestamp)
    try:
        spec = validate.decode(msgspec.json.decode(item.spec))
        if errors := validate.validate(metadata.name, spec):
            raise Invalid(errors)
    except Invalid:
        if not deleting:
            raise
        spec = FunctionSpec()  # nothing of it is looked at any more
    return Function(
        name=metadata.name,
        project=metadata.namespace,
        generation=metadata.generation,
        created_at=metadata.creation_timestamp or "",
        deleting=deleting,
        released=_number((metadata.annotations or {}).get(RELEASED, "")),
        spec=spec,
        status=status(item),
    )


def status(item: Kept) -> FunctionStatus:
    """What is stored of it; nothing where it cannot be read, so that it is written anew."""
    try:
        return _status(item.status)
    except msgspec.ValidationError:
        return FunctionStatus()


def refusal(item: Kept, errors: list[FieldError]) -> FunctionStatus:
    """The status of a Function that cannot work; what ran before it was changed so goes on running."""
    before = status(item)
    condition = Condition(
        type="Ready", status="False", reason="Invalid", message="; ".join(map(str, errors)),
        last_transition_time=next((each.last_transition_time for each in before.conditions if each.type == "Ready"), "")
        or (item.metadata.creation_timestamp or ""),
    )  # fmt: skip
    others = tuple(each for each in before.conditions if each.type != "Ready")
    return msgspec.structs.replace(before, observed_generation=item.metadata.generation, conditions=(*others, condition))


def status_patch(name: str, what: FunctionStatus) -> dict[str, Any]:
    """A merge patch for the status subresource."""
    return {"status": {**msgspec.to_builtins(what), "selector": f"{FUNCTION}={name}"}}


def plain(spec: FunctionSpec) -> dict[str, Any]:
    """The spec as a manifest has it: without what is absent."""
    found: dict[str, Any] = msgspec.to_builtins(spec)
    empty: tuple[object, ...] = (None, "", [], {})
    return {key: value for key, value in found.items() if value not in empty}


def revision(item: Kept) -> Revision:
    """Raises msgspec.DecodeError."""
    found, proof = _recorded(item.spec), _proof(item.status)
    return Revision(
        name=item.metadata.name,
        generation=found.generation,
        artifact=found.artifact,
        spec=found.spec,
        created_at=found.created_at,
        proven_at=proof.proven_at,
    )


def revision_spec(name: str, what: Revision) -> dict[str, Any]:
    """The `spec` of the object that keeps a revision of the function `name`."""
    return {
        "function": name,
        "generation": what.generation,
        "artifact": what.artifact,
        "createdAt": what.created_at,
        "spec": plain(what.spec),
    }


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
