"""AdmissionReview (admission.k8s.io/v1): the part of the question that is read, and the answer as it is sent. Pure."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"


class Kind(msgspec.Struct, frozen=True):
    """What is written, as of GroupVersionKind."""

    group: str = ""
    version: str = ""
    kind: str = ""


class UserInfo(msgspec.Struct, frozen=True):
    """Who writes it."""

    username: str = ""
    groups: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One write that the API server asks about."""

    uid: str
    kind: Kind = Kind()
    sub_resource: str = ""
    operation: str = ""  # "CREATE" | "UPDATE" | "DELETE" | "CONNECT"
    namespace: str = ""
    name: str = ""  # empty where the API server is to make one of generateName
    user_info: UserInfo = UserInfo()
    object: dict[str, Any] | None = None  # as it would be stored
    old_object: dict[str, Any] | None = None


class Review(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The envelope of a question."""

    api_version: str = ""
    kind: str = ""
    request: Request | None = None


class Cause(msgspec.Struct, frozen=True):
    """metav1.StatusCause: one field that is wrong."""

    reason: str
    message: str
    field: str


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """metav1.StatusDetails."""

    name: str = ""
    group: str = ""
    kind: str = ""
    causes: tuple[Cause, ...] = ()


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """metav1.Status of a refusal; `message` is what kubectl prints."""

    message: str
    reason: str
    code: int
    details: Details | None = None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is decided about one write."""

    allowed: bool = msgspec.field(default=False)
    status: Status | None = None
    patch: tuple[dict[str, Any], ...] = ()  # JSON patch (RFC 6902)
    warnings: tuple[str, ...] = ()  # kubectl prints them, the write goes on


class BadReview(Exception):
    """The body is not a question that we know; says what it is instead."""


_decode = msgspec.json.Decoder(Review).decode


def decoded(body: bytes) -> Request:
    """The question in a body. Raises BadReview."""
    try:
        review = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReview(f"the body is no {KIND}: {error}") from error
    if (review.api_version, review.kind) != (API_VERSION, KIND):
        raise BadReview(f'the body is "{review.kind}" of "{review.api_version}": send {KIND} of {API_VERSION}')
    if review.request is None or not review.request.uid:
        raise BadReview(f"the {KIND} has no request")
    return review.request


def encoded(uid: str, answer: Answer) -> bytes:
    """The answer as the API server reads it."""
    response: dict[str, Any] = {"uid": uid, "allowed": answer.allowed}
    if answer.status is not None:
        response["status"] = answer.status
    if answer.patch:
        patch = base64.b64encode(msgspec.json.encode(answer.patch)).decode()
        response |= {"patchType": "JSONPatch", "patch": patch}
    if answer.warnings:
        response["warnings"] = answer.warnings
    return msgspec.json.encode({"apiVersion": API_VERSION, "kind": KIND, "response": response})
