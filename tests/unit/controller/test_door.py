"""Who is let in: what a request wants, what the API server says to it, and for how long that is remembered."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from controller.api.guard import Guard, Token
from controller.api.wishes import wish
from controller.kube.doorkeeper import ALLOWED_SECONDS, REFUSED_SECONDS, KubeDoorkeeper, Memory
from controller.ports import Verdict, Wish
from kube.client import Client
from kube.errors import Attempt, Unreachable
from kube.resource import Resource

ONE = "/api/v1/functions/hello"


@pytest.mark.parametrize(
    ("method", "path", "namespace", "wanted"),
    [
        ("GET", "/api/v1/openapi.json", "a", Wish()),
        ("GET", "/api/v1/functions", "a", Wish("list", "a")),
        ("HEAD", "/api/v1/functions", "a", Wish("list", "a")),
        ("GET", "/api/v1/functions", "*", Wish("list", "")),
        ("GET", ONE, "a", Wish("get", "a", "hello")),
        ("GET", f"{ONE}/logs", "a", Wish("get", "a", "hello")),
        ("GET", f"{ONE}/events", "a", Wish("get", "a", "hello")),
        ("GET", f"{ONE}/revisions", "a", Wish("get", "a", "hello")),
        ("PUT", ONE, "a", Wish("update", "a", "hello")),
        ("PUT", "/api/v1/functions/other", "a", Wish("create", "a")),
        ("PUT", ONE, "b", Wish("create", "b")),
        ("DELETE", ONE, "a", Wish("delete", "a", "hello")),
        ("POST", f"{ONE}/deploy", "a", Wish("update", "a", "hello")),
        ("POST", f"{ONE}/rollback", "a", Wish("update", "a", "hello")),
        ("POST", f"{ONE}/what-is-to-come", "a", Wish("update", "a", "hello")),
        ("DELETE", f"{ONE}/what-is-to-come", "a", Wish("update", "a", "hello")),
        ("POST", "/api/v1/functions", "a", Wish("create", "a")),
        ("POST", "/api/v1/openapi.json", "a", Wish("create", "a")),
        ("PUT", "/what/else", "a", Wish("create", "a")),
    ],
)
def test_a_request_wants_what_kubernetes_calls_it(method: str, path: str, namespace: str, wanted: Wish) -> None:
    assert wish(method, path, namespace, lambda namespace, name: (namespace, name) == ("a", "hello")) == wanted


class Judge:
    """An API server that knows one token and allows some verbs; `client` is what asks it."""

    def __init__(self) -> None:
        self.verbs = {"get", "list"}
        self.token = "good"
        self.asked: list[dict[str, Any]] = []
        self.away = False

    async def create(self, resource: Resource[Any], body: dict[str, Any]) -> dict[str, Any]:
        if self.away:
            raise Unreachable(Attempt("create", resource.title), "no answer")
        self.asked.append({"kind": resource.kind, **body["spec"]})
        if resource.kind == "TokenReview":
            user = {"username": "eva", "uid": "7", "groups": ["devs"], "extra": {"scopes": ["a"]}}
            known = body["spec"]["token"] == self.token
            return {"status": {"authenticated": known, "user": user} if known else {"error": "it has expired"}}
        allowed = body["spec"]["resourceAttributes"]["verb"] in self.verbs
        return {"status": {"allowed": allowed, "reason": "" if allowed else "no RBAC policy matched"}}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def keeper() -> tuple[KubeDoorkeeper, Judge, Clock]:
    judge, clock = Judge(), Clock()
    return KubeDoorkeeper(cast(Client, judge), clock), judge, clock


def judged(door: KubeDoorkeeper, token: str, verb: str, namespace: str = "a") -> Verdict:
    return asyncio.run(door.judge(token, Wish(verb, namespace, "hello")))


def test_the_api_server_is_asked_who_it_is_and_what_they_may_do() -> None:
    door, judge, _ = keeper()
    assert judged(door, "good", "get") == Verdict()
    who, what = judge.asked
    assert who == {"kind": "TokenReview", "token": "good"}
    assert (what["user"], what["uid"], tuple(what["groups"]), what["extra"]) == ("eva", "7", ("devs",), {"scopes": ("a",)})
    assert what["resourceAttributes"] == {
        "group": "cloudbase.dev", "resource": "functions", "verb": "get", "namespace": "a", "name": "hello",
    }  # fmt: skip


def test_no_right_is_told_with_the_right_that_is_missing_and_no_valid_token_with_why() -> None:
    door, _, _ = keeper()
    refused = judged(door, "good", "delete")
    assert refused.status == 403
    assert refused.reason.startswith(
        'eva cannot delete functions.cloudbase.dev "hello" in the namespace a (no RBAC policy matched): bind'
    )
    unknown = judged(door, "bad", "get")
    assert unknown.status == 401 and "(it has expired)" in unknown.reason and "kubectl create token" in unknown.reason


def test_a_yes_is_remembered_for_some_seconds_and_a_no_for_fewer() -> None:
    door, judge, clock = keeper()
    judged(door, "good", "get")
    judged(door, "good", "delete")
    judged(door, "bad", "get")
    asked = len(judge.asked)
    clock.now += REFUSED_SECONDS - 0.1
    for token, verb in (("good", "get"), ("good", "delete"), ("bad", "get")):
        judged(door, token, verb)
    assert len(judge.asked) == asked
    judge.verbs.add("delete")
    clock.now += 0.2
    assert judged(door, "good", "delete") == Verdict()  # granted meanwhile
    judge.token, judge.verbs = "", set()
    assert judged(door, "good", "get") == Verdict()
    clock.now += ALLOWED_SECONDS
    assert judged(door, "good", "get").status == 401  # revoked


def test_rights_in_one_namespace_say_nothing_of_another() -> None:
    door, judge, _ = keeper()
    judged(door, "good", "get", "a")
    judge.verbs.clear()
    assert judged(door, "good", "get", "b").status == 403


def test_without_an_answer_nobody_comes_in_and_nothing_is_remembered() -> None:
    door, judge, _ = keeper()
    judge.away = True
    assert judged(door, "good", "get").status == 503
    judge.away = False
    assert judged(door, "good", "get") == Verdict()


def test_what_is_remembered_is_bounded() -> None:
    memory: Memory[int, str] = Memory(most=3)
    for number in range(10):
        memory.put(number, "yes", until=1.0)
    assert [number for number in range(10) if memory.get(number, 0.5)] == [7, 8, 9]
    assert memory.get(9, 1.0) is None


def answers(door: Any, hosts: tuple[str, ...] | None = None) -> Any:
    async def inside(request: Request) -> PlainTextResponse:
        return PlainTextResponse("inside")

    routes = [Route("/api/v1/functions", inside, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, keeper=door, hosts=hosts)])

    def call(**headers: str) -> httpx2.Response:
        async def main() -> httpx2.Response:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://cloudbase.svc:8081") as client:
                return await client.get(
                    "/api/v1/functions", headers={key.replace("_", "-"): value.encode() for key, value in headers.items()}
                )

        return asyncio.run(main())

    return call


def test_the_door_in_a_cluster_takes_any_host_and_no_web_page() -> None:
    call = answers(keeper()[0])
    assert call(Authorization="Bearer good").text == "inside"
    assert call(Authorization="bearer good").text == "inside"
    assert call(Authorization="Bearer good", Origin="http://evil.example").status_code == 403
    assert call().status_code == 401 and call().headers["www-authenticate"].startswith("Bearer")
    for wrong in ("Basic good", "Bearer ", "good", "Bearer bad"):
        assert call(Authorization=wrong).status_code == 401


def test_one_token_is_compared_as_a_whole() -> None:
    call = answers(Token("secret"))
    assert call(Authorization="Bearer secret").text == "inside"
    for wrong in ("secre", "secrets", "sécret", "SECRET"):
        assert call(Authorization=f"Bearer {wrong}").status_code == 401
    with pytest.raises(ValueError, match="needs a token"):
        Token("")
