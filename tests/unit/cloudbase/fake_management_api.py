"""A management API in memory, by the contract: enough of it to answer every command without a socket."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httpx2
from click.testing import Result

Run = Callable[..., Result]
Answer = httpx2.Response
TOKEN = "let-me-in"
PREFIX = "/api/v1/functions"


class FakeApi:
    """Functions as views; `events` and `logs` are what the streams give; every request is kept in `seen`."""

    def __init__(self) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, dict[str, bytes]] = {}
        self.events: list[dict[str, str]] = [{"time": "", "type": "Built", "status": "True", "reason": "", "message": "in 0.1 s"}]
        self.revisions: list[dict[str, Any]] = []
        self.lines: list[dict[str, str]] = []
        self.outcome: dict[str, Any] = {"ready": True, "replicas": 1, "reason": ""}
        self.refusal: Answer | None = None
        self.others: list[dict[str, str]] = []  # variables that somebody else sets, one each before a PUT of ours
        self.seen: list[httpx2.Request] = []

    @property
    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self.answer)

    def answer(self, request: httpx2.Request) -> Answer:
        self.seen.append(request)
        if self.refusal:
            return self.refusal
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "The bearer token is missing or wrong.")
        parts = request.url.path.removeprefix(PREFIX).strip("/").split("/")
        if parts == [""]:
            return Answer(200, json={"items": list(self.views.values())})
        methods: dict[tuple[str, ...], Callable[[str, httpx2.Request], Answer]] = {
            ("PUT",): self._put,
            ("GET",): self._get,
            ("DELETE",): self._delete,
            ("GET", "events"): self._events,
            ("GET", "logs"): lambda *_: stream(self.lines),
            ("GET", "revisions"): lambda *_: Answer(200, json={"items": self.revisions}),
            ("POST", "deploy"): self._asked,
            ("POST", "rollback"): self._rollback,
            ("POST", "redeploy"): self._asked,
        }
        name, method = parts[0], methods[(request.method, *parts[1:])]
        if name not in self.views and request.method != "PUT":
            return problem(404, f'There is no function "{name}".')
        return method(name, request)

    def _events(self, name: str, request: httpx2.Request) -> Answer:
        streamed = "text/event-stream" in request.headers["accept"]
        return stream(self.events) if streamed else Answer(200, json={"items": self.events})

    def _asked(self, name: str, request: httpx2.Request) -> Answer:
        self.views[name] |= self.outcome
        return Answer(202, json=self.views[name])

    def _rollback(self, name: str, request: httpx2.Request) -> Answer:
        to = json.loads(request.content)["revision"] or f"{name}-00001"
        self.views[name]["spec"]["traffic"] = [] if to == "newest" else [{"revision": to, "percent": 100}]
        self.views[name]["status"]["revision"] = f"{name}-00002" if to == "newest" else to
        return Answer(202, json=self.views[name])

    def _put(self, name: str, request: httpx2.Request) -> Answer:
        created = name not in self.views
        if request.headers["content-type"] == "application/json":
            document = json.loads(request.content)
            if self.others:
                self.views[name]["spec"].setdefault("env", {}).update(self.others.pop(0))
                self.views[name]["generation"] += 1
            if not created and document.get("generation", 0) not in (0, self.views[name]["generation"]):
                return problem(409, "It was changed meanwhile.", type="urn:cloudbase:problem:overtaken")
            spec = document["spec"]
        else:
            spec = json.loads(unquote(request.headers["cloudbase-spec"]))
            self.sources[name] = unpack(request.content)
        self.views[name] = view(name, spec) | self.outcome
        return Answer(201 if created else 200, json=view(name, spec) | {"ready": False, "replicas": 0})

    def _get(self, name: str, request: httpx2.Request) -> Answer:
        return Answer(200, json=self.views[name])

    def _delete(self, name: str, request: httpx2.Request) -> Answer:
        return Answer(202, json=self.views.pop(name))


def view(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    moment = "2026-01-01T00:00:00Z"
    status = {"observedGeneration": 1, "revision": f"{name}-00001", "wanted": 1, "conditions": []}
    url = f"http://127.0.0.1:8080/fn/{name}"
    stored = {"name": name, "generation": 1, "createdAt": moment, "updatedAt": moment, "spec": spec, "status": status}
    return stored | {"replicas": 1, "ready": True, "reason": "", "url": url}


def unpack(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar.getmembers()}


def stream(items: list[dict[str, str]]) -> Answer:
    body = "".join(f"data: {json.dumps(each)}\n\n" for each in items)
    return Answer(200, headers={"content-type": "text/event-stream"}, content=body.encode())


def problem(status: int, detail: str, **more: Any) -> Answer:
    body = {"type": "about:blank", "status": status, "detail": detail} | more
    return Answer(status, headers={"content-type": "application/problem+json"}, content=json.dumps(body).encode())
