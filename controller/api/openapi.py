"""The API's own description, OpenAPI 3.1: paths written here, schemas taken from the structs that are sent and read."""

from __future__ import annotations

from typing import Any

import msgspec

from controller.api.bodies import FunctionDocument
from controller.api.problem import Problem
from controller.api.releases import RollbackDocument
from controller.api.view import FunctionList, FunctionView, RevisionList
from controller.model import FunctionSpec
from controller.ports import LogLine
from controller.progress import Event

_REF = "#/components/schemas/{name}"
Json = dict[str, Any]


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """The events kept of a function, oldest first."""

    items: list[Event]


class DecisionList(msgspec.Struct, frozen=True, kw_only=True):
    """Why a function has the replicas it has: the autoscaler's decisions, oldest first."""

    items: list[dict[str, Any]]


def encoded(with_decisions: bool) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(with_decisions))


def document(with_decisions: bool) -> Json:
    """The document. `with_decisions`: whether that path is served."""
    _, components = msgspec.json.schema_components(_STRUCTS, ref_template=_REF)
    paths = _paths()
    if not with_decisions:
        del paths["/functions/{name}/decisions"], components["DecisionList"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cloudbase management API",
            "version": "1",
            "description": "Creates, updates, follows and deletes functions. Every error is a problem+json (RFC 9457).",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"Problem": _content("What went wrong", "application/problem+json", "Problem")},
        },
    }


_STRUCTS = (
    FunctionView,
    FunctionList,
    FunctionSpec,
    FunctionDocument,
    RevisionList,
    RollbackDocument,
    Problem,
    Event,
    EventList,
    LogLine,
    DecisionList,
)


def _paths() -> Json:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "description": "a DNS label"}
    return {
        "/functions": {
            "parameters": [_NAMESPACE],
            "get": _operation("listFunctions", "All functions", {"200": _json("All functions", "FunctionList")}, 400),
        },
        "/functions/{name}": {
            "parameters": [name, _NAMESPACE],
            "get": _operation("getFunction", "One function", {"200": _json("The function", "FunctionView")}, 404),
            "put": {
                **_operation("putFunction", "Create or update", _put_answers(), 400, 408, 409, 413, 415, 422, 503),
                "parameters": [_SPEC_HEADER],
                "requestBody": _PUT_BODY,
            },
            "delete": _operation(
                "deleteFunction",
                "Delete; its events tell when it is gone",
                {"202": _json("The function, which goes", "FunctionView")},
                404,
            ),
        },
        **_releases(name),
        **_accounts(name),
        "/openapi.json": {
            "get": _operation("getDescription", "This document", {"200": _content("OpenAPI 3.1", "application/json", None)})
        },
    }


def _accounts(name: Json) -> Json:
    """What is told of a function that runs or changes."""
    follow = _query("follow", {"type": "boolean", "default": False}, "go on with what comes")
    tail = _query("tail", {"type": "integer", "default": 100, "minimum": 0}, "lines of the past")
    last = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "integer"}, "description": "only later events"}
    return {
        "/functions/{name}/logs": {
            "parameters": [name, _NAMESPACE, follow, tail, _REPLICA],
            "get": _operation(
                "getLogs", "What the function wrote", {"200": _streamed("Lines", "text/plain", None, "LogLine")}, 400, 404
            ),
        },
        "/functions/{name}/events": {
            "parameters": [name, _NAMESPACE, follow, last],
            "get": _operation(
                "getEvents",
                "Progress of the last change; as a stream until it is Ready or failed, unless follow",
                {"200": _streamed("Events", "application/json", "EventList", "Event")},
                400,
                404,
            ),
        },
        "/functions/{name}/decisions": {
            "parameters": [name, _NAMESPACE],
            "get": _operation("getDecisions", "Why it has the replicas it has", {"200": _json("Decisions", "DecisionList")}, 404),
        },
    }


def _releases(name: Json) -> Json:
    """Revisions, and what is done with them."""
    there = {"202": _json("The function, as it is asked for now; its events tell what becomes of it", "FunctionView")}
    body = {"content": {"application/json": {"schema": _ref("RollbackDocument")}}}
    rollback = _operation("rollback", "All traffic to an older revision", there, 400, 404, 409, 413, 422)
    return {
        "/functions/{name}/revisions": {
            "parameters": [name, _NAMESPACE],
            "get": _operation(
                "listRevisions", "The revisions that are kept, newest first", {"200": _json("Revisions", "RevisionList")}, 404
            ),
        },
        "/functions/{name}/deploy": {
            "parameters": [name, _NAMESPACE],
            "post": _operation("deploy", "Release what was built, with deploy: manual", there, 404),
        },
        "/functions/{name}/rollback": {"parameters": [name, _NAMESPACE], "post": {**rollback, "requestBody": body}},
        "/functions/{name}/redeploy": {
            "parameters": [name, _NAMESPACE],
            "post": _operation("redeploy", "A new revision of the same artifact", there, 404, 409),
        },
    }


_NAMESPACE = {
    "name": "namespace",
    "in": "query",
    "schema": {"type": "string"},
    "description": "of a cluster; * = all, in the list; absent = the usual one",
}
_REPLICA = {"name": "replica", "in": "query", "schema": {"type": "string"}, "description": "only this replica's lines"}
_SPEC_HEADER = {
    "name": "Cloudbase-Spec",
    "in": "header",
    "schema": {"type": "string"},
    "description": "with an archive: the FunctionSpec as percent-encoded JSON in UTF-8",
}
_PUT_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": _REF.format(name="FunctionDocument")}},
        "application/gzip": {"schema": {"type": "string", "format": "binary", "description": "a tar.gz of the source"}},
    },
}


def _put_answers() -> Json:
    created = _json("Created", "FunctionView")
    created["headers"] = {"Location": {"schema": {"type": "string"}}}
    return {"200": _json("Updated, or as it was", "FunctionView"), "201": created}


def _operation(name: str, summary: str, answers: Json, *problems: int) -> Json:
    refused = {str(status): {"$ref": "#/components/responses/Problem"} for status in sorted({401, 403, *problems, 503})}
    return {"operationId": name, "summary": summary, "responses": {**answers, **refused}}


def _json(description: str, schema: str) -> Json:
    return _content(description, "application/json", schema)


def _content(description: str, media_type: str, schema: str | None) -> Json:
    return {"description": description, "content": {media_type: {"schema": _ref(schema) if schema else {}}}}


def _streamed(description: str, media_type: str, schema: str | None, event: str) -> Json:
    plain = _ref(schema) if schema else {"type": "string"}
    events = {"schema": {"type": "string"}, "x-event-data": _ref(event)}
    return {"description": description, "content": {media_type: {"schema": plain}, "text/event-stream": events}}


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _ref(name: str) -> Json:
    return {"$ref": _REF.format(name=name)}
