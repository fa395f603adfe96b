"""What the webhooks say of a write: the API's words, defaults, and nothing that holds up what is being deleted."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import Invalid
from controller.kube.admission import decide
from controller.kube.admission.holders import Claim, holder
from controller.kube.admission.model import API_VERSION, Answer, BadReview, Kind, Request, decoded, encoded
from controller.model import FunctionSpec, Scaling
from controller.validate import decode, judged
from tests.shared.function_documents import BAD, GOOD, GOOD_SPEC, Bad

FUNCTION, REVISION = Kind("cloudbase.dev", "v1alpha1", "Function"), Kind("cloudbase.dev", "v1alpha1", "Revision")


def nobody(namespace: str, name: str) -> str:
    return ""


def write(spec: Any, name: str = "hello", operation: str = "CREATE", kind: Kind = FUNCTION, **more: Any) -> Request:
    document = {"metadata": {"name": name}, "spec": spec}
    return Request(uid="1", kind=kind, operation=operation, namespace="a", name=name, **{"object": document, **more})


def patched(spec: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """The spec with the answer's JSON patch, which only adds."""
    document: dict[str, Any] = {"spec": spec}
    for operation in answer.patch:
        assert operation["op"] == "add"
        *path, last = (part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:])
        at = document
        for part in path:
            at = at[part]
        at[last] = operation["value"]
    return msgspec.json.decode(msgspec.json.encode(spec))  # type: ignore[no-any-return]


@pytest.mark.parametrize("bad", BAD, ids=[bad.id for bad in BAD])
def test_what_cannot_work_is_refused_with_the_field_and_the_words_of_the_validation(bad: Bad) -> None:
    for judge in (decide.validated, decide.default):
        answer = judge(write(bad.document, bad.name), nobody)
        assert not answer.allowed
        assert answer.status is not None and answer.status.details is not None
        assert answer.status.message == str(Invalid(judged(bad.name, bad.document)))
        assert f"{bad.field}: " in answer.status.message and bad.words in answer.status.message
        where = "metadata.name" if bad.field == "name" else f"spec.{bad.field}"
        assert where in [cause.field for cause in answer.status.details.causes]


@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD)
def test_what_is_left_out_is_filled_in_and_what_is_given_stays(spec: dict[str, Any]) -> None:
    asked = GOOD_SPEC | msgspec.json.decode(msgspec.json.encode(spec))
    answer = decide.default(write(asked), nobody)
    assert answer.allowed
    whole = patched(asked, answer)
    assert decode(whole) == decode(GOOD_SPEC | spec)
    filled = {"type", "deploy", "scaling", "resources", "timeout", "idleTimeout", "drainTimeout", "concurrency"}
    assert filled <= set(whole) and set(Scaling.__struct_encode_fields__) == set(whole["scaling"])
    assert decide.default(write(whole), nobody).patch == ()  # nothing is left to fill in


def test_several_wrong_fields_are_told_at_once() -> None:
    answer = decide.validated(write({**GOOD_SPEC, "scaling": {"min": 3, "max": 1}, "timeout": -1}), nobody)
    assert answer.status is not None and answer.status.details is not None
    assert [cause.field for cause in answer.status.details.causes] == ["spec.scaling.min", "spec.timeout"]


def test_a_stored_spec_is_not_judged_again_when_something_else_is_written() -> None:
    bad = {"runtime": "ruby"}
    old = {"metadata": {"name": "hello"}, "spec": bad}
    assert decide.validated(write(bad, operation="UPDATE", old_object=old), nobody).allowed
    assert not decide.validated(write({"runtime": "perl"}, operation="UPDATE", old_object=old), nobody).allowed


def test_what_is_being_deleted_or_is_no_user_s_document_passes_whatever_is_in_it() -> None:
    bad = {"runtime": "ruby"}
    going = {"metadata": {"name": "hello", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": bad}
    passes = [
        write(bad, operation="UPDATE", object=going),
        write(bad, operation="UPDATE", sub_resource="status"),
        write(bad, operation="UPDATE", sub_resource="scale"),
        write(bad, operation="DELETE", object=None, old_object=going),
        write(bad, kind=Kind("apps", "v1", "Deployment")),
    ]
    for request in passes:
        assert decide.validated(request, nobody).allowed and decide.default(request, nobody) == decide.ALLOWED


def test_a_name_whose_address_another_has_is_refused_on_creation_only() -> None:
    answer = decide.validated(write(GOOD_SPEC), lambda namespace, name: "Function b/hello")
    assert answer.status is not None
    assert answer.status.message.startswith("name: is taken: Function b/hello answers at its address already; choose another")
    assert decide.validated(write(GOOD_SPEC, operation="UPDATE"), lambda namespace, name: "Function b/hello").allowed


def test_a_name_to_be_generated_is_judged_with_the_letters_it_will_get() -> None:
    document = {"metadata": {"generateName": "hello-"}, "spec": GOOD_SPEC}
    assert decide.validated(write(GOOD_SPEC, name="", object=document), nobody).allowed
    document = {"metadata": {"generateName": "a" * 50}, "spec": GOOD_SPEC}
    assert not decide.validated(write(GOOD_SPEC, name="", object=document), nobody).allowed


def test_the_spec_of_a_revision_never_changes() -> None:
    old = {"metadata": {"name": "hello-00001"}, "spec": {"artifact": "sha256:1"}}
    same = write({"artifact": "sha256:1"}, "hello-00001", "UPDATE", REVISION, old_object=old)
    other = write({"artifact": "sha256:2"}, "hello-00001", "UPDATE", REVISION, old_object=old)
    assert decide.validated(same, nobody).allowed
    refused = decide.validated(other, nobody)
    assert refused.status is not None and refused.status.message.startswith("spec: is immutable")
    assert not decide.validated(write({}, "hello", kind=REVISION), nobody).allowed


CLAIMS = (Claim("Function", "a", "hello", "hello"), Claim("Service", "b", "shop-svc", "shop"))


def test_a_route_is_taken_by_who_has_its_name_in_the_same_project() -> None:
    assert holder("b", "hello", CLAIMS, {}) == "Function a/hello"  # neither namespace has a project
    assert holder("b", "shop", CLAIMS, {}) == "Service b/shop-svc"
    assert holder("b", "hello", CLAIMS, {"a": "p"}) == ""
    assert holder("b", "hello", CLAIMS, {"a": "p", "b": "p"}) == "Function a/hello"
    assert holder("a", "hello", CLAIMS, {}) == ""  # that is itself


def test_a_review_is_read_and_answered_as_the_api_server_speaks() -> None:
    asked = {"uid": "7", "kind": {"kind": "Function"}, "operation": "CREATE", "object": {"spec": {}}, "dryRun": False}
    asked["userInfo"] = {"username": "eva", "groups": ["g"]}
    body = {"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": asked}
    request = decoded(msgspec.json.encode(body))
    assert (request.uid, request.user_info.username, request.kind.kind) == ("7", "eva", "Function")
    answer = msgspec.json.decode(encoded("7", Answer(allowed=True, patch=({"op": "add", "path": "/a", "value": 1},))))
    assert answer["response"]["uid"] == "7" and answer["response"]["allowed"] is True
    assert msgspec.json.decode(base64.b64decode(answer["response"]["patch"])) == [{"op": "add", "path": "/a", "value": 1}]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"kind": "Pod"}', b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}']
)
def test_what_is_no_review_is_told_so(body: bytes) -> None:
    with pytest.raises(BadReview):
        decoded(body)


KEYS = st.sampled_from([*FunctionSpec.__struct_encode_fields__, "min"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(JSON, JSON)
def test_no_document_makes_the_decision_fail(spec: object, old: object) -> None:
    created = decide.default(write(spec), nobody)
    assert created.allowed == (judged("hello", spec) == [])
    updated = decide.default(write(spec, operation="UPDATE", old_object={"spec": old}), nobody)
    assert updated.allowed == (spec == old or created.allowed)
    encoded("1", updated)
