"""Puts the API together: its routes, its guard and its errors in one ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.api import openapi, problem
from controller.api.functions import Check, Functions, Holder
from controller.api.guard import LOOPBACK, Guard
from controller.api.releases import Releases
from controller.api.scope import Scope
from controller.api.streams import Streams
from controller.archive import Limits
from controller.ports import Deployer, Doorkeeper, FunctionStore, SourceStore
from controller.reconcile import Reconciler
from controller.validate import validate

HERE = Scope()  # one machine: one namespace
PREFIX = "/api/v1"
Endpoint = Callable[[Request], Awaitable[Response]]
Decisions = Callable[[str, str], Sequence[Mapping[str, object]]]  # project, name -> why it has the replicas it has, oldest first


def create_app(
    store: FunctionStore,
    sources: SourceStore,
    reconciler: Reconciler,
    deployer: Deployer,
    keeper: Doorkeeper,
    *,
    decisions: Decisions | None = None,
    limits: Limits | None = None,
    hosts: Collection[str] | None = LOOPBACK,
    scope: Scope = HERE,
    check: Check = validate,
    holder: Holder = lambda namespace, name: "",
) -> Starlette:
    """The application, its paths beginning with /api/v1: mount it at "/", behind the paths of the admin port's own.

    `keeper` lets callers in. `hosts` are the names, without port, that the API may be called by; None = any. `scope`: which
    namespaces there are. `check` judges specs, `holder` whether a new function's address is taken. `decisions` adds
    GET /functions/{name}/decisions.
    """
    functions = Functions(store, sources, limits or Limits(), scope, check, holder)
    streams = Streams(store, deployer, reconciler.progress, decisions, scope)
    releases = Releases(store, scope)
    guard = Middleware(
        Guard,
        keeper=keeper,
        hosts=hosts,
        namespace=scope.usual,
        exists=lambda namespace, name: store.get(namespace, name) is not None,
    )
    routes = _routes(functions, streams, releases, with_decisions=decisions is not None)
    return Starlette(routes=routes, middleware=[guard], exception_handlers=problem.HANDLERS)


def _routes(functions: Functions, streams: Streams, releases: Releases, with_decisions: bool) -> list[Route]:
    """Every path with its methods, the API's own description included."""
    document = openapi.encoded(with_decisions)

    async def described(request: Request) -> Response:
        return Response(document, media_type="application/json")

    one = f"{PREFIX}/functions/{{name}}"
    return [
        Route(f"{PREFIX}/functions", functions.list, methods=["GET"]),
        Route(one, _by_method(GET=functions.get, PUT=functions.put, DELETE=functions.delete), methods=["GET", "PUT", "DELETE"]),
        Route(f"{one}/logs", streams.logs, methods=["GET"]),
        Route(f"{one}/events", streams.events, methods=["GET"]),
        Route(f"{one}/revisions", releases.list, methods=["GET"]),
        Route(f"{one}/deploy", releases.deploy, methods=["POST"]),
        Route(f"{one}/rollback", releases.rollback, methods=["POST"]),
        Route(f"{one}/redeploy", releases.redeploy, methods=["POST"]),
        *([Route(f"{one}/decisions", streams.decisions, methods=["GET"])] if with_decisions else []),
        Route(f"{PREFIX}/openapi.json", described, methods=["GET"]),
    ]


def _by_method(**endpoints: Endpoint) -> Endpoint:
    """One endpoint for all methods of a path, so that a wrong one is told every right one (RFC 9110 10.2.1, Allow)."""

    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return endpoint
