"""Whether a Function or a Revision may be written, and what it gets by default: a review in, an answer out. Pure.

The judgement is controller.validate's, so that `kubectl apply` and the API refuse with the same words. Nothing here reads
anything but the review and `holder`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from controller import validate
from controller.errors import FieldError, Invalid
from controller.kube.admission.model import Answer, Cause, Details, Request, Status
from controller.model import FunctionSpec

Holder = Callable[[str, str], str]  # namespace, name -> who else answers at that function's address, in words; "" = nobody
ALLOWED = Answer(allowed=True)
_GENERATED = "00000"  # stands for the letters that the API server adds to generateName


def default(request: Request, holder: Holder) -> Answer:
    """What the mutating webhook says: the refusal, since the schema's own would come before the validating one, or defaults."""
    refused = validated(request, holder)
    if not refused.allowed or _nobodys_business(request) or request.kind.kind != "Function":
        return refused
    given = _spec(request.object)
    try:
        whole = msgspec.to_builtins(msgspec.convert(given, FunctionSpec))
    except msgspec.ValidationError:  # stored before there was such a rule, and not what this write changes
        return refused
    return Answer(allowed=True, patch=tuple(_filled(given, whole, "/spec")), warnings=refused.warnings)


def validated(request: Request, holder: Holder) -> Answer:
    """What the validating webhook says."""
    if _nobodys_business(request):
        return ALLOWED
    if request.kind.kind == "Function":
        return _answer(request, _function(request, holder))
    if request.kind.kind == "Revision":
        return _answer(request, _revision(request))
    return ALLOWED


def _nobodys_business(request: Request) -> bool:
    """What is going, or goes, is not held up by what is wrong with it; status and scale are not the user's document."""
    metadata = (request.object or {}).get("metadata") or {}
    return request.operation not in ("CREATE", "UPDATE") or bool(request.sub_resource) or "deletionTimestamp" in metadata


def _function(request: Request, holder: Holder) -> list[FieldError]:
    """What is wrong; a spec that is stored already is not judged again, so that a label can be set whatever it is."""
    name = _name(request)
    if request.operation == "UPDATE" and _spec(request.object) == _spec(request.old_object):
        return []
    errors = validate.judged(name, _spec(request.object))
    if request.operation == "CREATE" and not errors and (other := holder(request.namespace, name)):
        errors.append(validate.taken(other))
    return errors


def _revision(request: Request) -> list[FieldError]:
    """A revision's shape and its immutability; its sense was judged when its Function was written."""
    new = _spec(request.object)
    if request.operation == "UPDATE":
        same = new == _spec(request.old_object)
        return [] if same else [FieldError("spec", "is immutable: change the Function, which makes a new revision")]
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?-[0-9]{5,}", _name(request)):
        return [FieldError("name", f'must be "<function>-<generation>", like hello-00001, was "{_name(request)}"')]
    return []


def _name(request: Request) -> str:
    metadata = (request.object or {}).get("metadata") or {}
    generated = metadata.get("generateName")
    return str(metadata.get("name") or request.name or (f"{generated}{_GENERATED}" if generated else ""))


def _spec(document: dict[str, Any] | None) -> Any:
    return None if document is None else document.get("spec")


def _answer(request: Request, errors: list[FieldError]) -> Answer:
    """Allowed, or refused with the same sentence as the API's `detail`, and each field for programs."""
    if not errors:
        return ALLOWED
    causes = tuple(Cause("FieldValueInvalid", each.message, _path(each.field)) for each in errors)
    details = Details(name=_name(request), group=request.kind.group, kind=request.kind.kind, causes=causes)
    return Answer(status=Status(message=str(Invalid(errors)), reason="Invalid", code=422, details=details))


def _path(field: str) -> str:
    """Where the field is in the manifest."""
    return "metadata.name" if field == "name" else field if field.partition(".")[0] == "spec" else f"spec.{field}"


def _filled(given: Mapping[str, Any], whole: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    """JSON patch operations that add what `given` lacks of `whole`; what is empty stays away, as nobody gains by reading it."""
    operations: list[dict[str, Any]] = []
    for key, value in whole.items():
        at = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in given and value not in (None, "", {}, [], ()):
            operations.append({"op": "add", "path": at, "value": value})
        elif isinstance(value, dict) and isinstance(given.get(key), dict):
            operations += _filled(given[key], value, at)
    return operations
