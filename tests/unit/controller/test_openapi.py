"""The API's description says what the API does: its paths, its fields, its references."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest
from starlette.routing import Route

from controller.api import Token, create_app, openapi
from controller.api.problem import Problem
from controller.api.view import FunctionView
from controller.memory import MemoryFunctionStore, MemorySourceStore
from controller.model import FunctionSpec, Scaling
from controller.progress import Event
from controller.reconcile import Reconciler
from tests.shared.controller_world import WorldBuilder, WorldDeployer, WorldRoutes


def served(with_decisions: bool) -> set[str]:
    """The paths of the application itself."""
    store, deployer = MemoryFunctionStore(), WorldDeployer()
    reconciler = Reconciler(store, WorldBuilder(), deployer, WorldRoutes(), MemorySourceStore())
    decisions = (lambda project, name: ()) if with_decisions else None
    app = create_app(store, MemorySourceStore(), reconciler, deployer, Token("token"), decisions=decisions)
    routes = [route for route in app.routes if isinstance(route, Route)]
    return {f"{method} {route.path}" for route in routes for method in route.methods or () if method != "HEAD"}


@pytest.mark.parametrize("with_decisions", [True, False])
def test_every_path_that_is_served_is_described_and_no_other(with_decisions: bool) -> None:
    paths = openapi.document(with_decisions)["paths"]
    described = {
        f"{method.upper()} /api/v1{path}"
        for path, item in paths.items()
        for method in item
        if method in ("get", "put", "post", "delete")
    }
    assert described == served(with_decisions)


@pytest.mark.parametrize("struct", [FunctionView, FunctionSpec, Scaling, Event, Problem])
def test_every_field_that_is_sent_is_described(struct: type[msgspec.Struct]) -> None:
    schemas = openapi.document(with_decisions=True)["components"]["schemas"]
    assert set(schemas[struct.__name__]["properties"]) == {field.encode_name for field in msgspec.structs.fields(struct)}


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else ())
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


@pytest.mark.parametrize("with_decisions", [True, False])
def test_every_reference_leads_to_something_and_all_is_referenced(with_decisions: bool) -> None:
    document = openapi.document(with_decisions)
    used = set(references(document))
    for reference in used:
        part: object = document
        for step in reference.removeprefix("#/").split("/"):
            assert isinstance(part, dict)
            part = part[step]
    assert {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} <= used


def test_operations_have_names_and_refusals_and_parameters_that_are_in_the_path() -> None:
    names = []
    for path, item in openapi.document(with_decisions=True)["paths"].items():
        inside = {each["name"] for each in item.get("parameters", ()) if each["in"] == "path"}
        assert inside == set(re.findall(r"\{(\w+)\}", path))
        for method, operation in item.items():
            if method != "parameters":
                names.append(operation["operationId"])
                assert {"401", "403"} <= set(operation["responses"])
    assert len(names) == len(set(names))


def test_an_api_without_a_token_is_not_made() -> None:
    with pytest.raises(ValueError, match="needs a token"):
        Token("")
