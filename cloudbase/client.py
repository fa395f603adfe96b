"""The management API from outside: one method per call, answers as decoded JSON, every failure a sentence with a next step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx2

from cloudbase.errors import CommandError, Failed, Misused, NoPlatform, NotFound, Overtaken, Refused, TookTooLong
from cloudbase.place import Place

View = dict[str, Any]  # a FunctionView: the stored function and `replicas`, `ready`, `reason`, `url`
Views = list[View]
SECONDS = 30.0  # for an answer; streams have no limit between lines


class Client:
    """A connection to one platform. Use it in a `with`; not to be shared between threads."""

    def __init__(
        self, place: Place, transport: httpx2.BaseTransport | None = None, closing: Callable[[], None] | None = None
    ) -> None:
        """`closing` ends the way there."""
        headers = {"Authorization": f"Bearer {place.token}"} if place.token else {}
        query = {"namespace": place.namespace} if place.namespace else {}
        self.place, self._closing = place, closing
        self._http = httpx2.Client(
            base_url=f"{place.base}/api/v1/", headers=headers, params=query, timeout=SECONDS, transport=transport, trust_env=False
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        if self._closing:
            self._closing()

    def list(self) -> list[View]:
        """Every function."""
        items: list[View] = self._call("GET", "functions")[0]["items"]
        return items

    def get(self, name: str) -> View:
        """One function. Raises NotFound."""
        return self._call("GET", _path(name))[0]

    def put(self, name: str, spec: dict[str, Any], archive: bytes | None, generation: int = 0) -> tuple[View, bool]:
        """Create or update, from a tar.gz if there is one; True when it is new. Raises Refused with every field that is wrong.

        Without an archive: Overtaken, when the function is not of this `generation` any more; 0 = whatever it is.
        """
        if archive is None:
            document = {"spec": spec, **({"generation": generation} if generation else {})}
            body = json.dumps(document, default=str).encode()
            view, status = self._call("PUT", _path(name), headers={"Content-Type": "application/json"}, content=body)
            return view, status == 201
        headers = {"Content-Type": "application/gzip", "Cloudbase-Spec": quote(json.dumps(spec, default=str), safe="")}
        view, status = self._call("PUT", _path(name), headers=headers, content=archive)
        return view, status == 201

    def revisions(self, name: str) -> Views:
        """The revisions that are kept, newest first: {"name", "provenAt", "percent", …}."""
        items: Views = self._call("GET", f"{_path(name)}/revisions")[0]["items"]
        return items

    def release(self, name: str) -> View:
        """Let what was built be deployed, with `deploy: manual`."""
        return self._call("POST", f"{_path(name)}/deploy")[0]

    def rollback(self, name: str, revision: str) -> View:
        """All traffic to a revision: its name, "newest", or "" for the one before."""
        return self._call("POST", f"{_path(name)}/rollback", json={"revision": revision})[0]

    def redeploy(self, name: str) -> View:
        """A new revision of the same artifact."""
        return self._call("POST", f"{_path(name)}/redeploy")[0]

    def delete(self, name: str) -> None:
        """Ask for the function's end; `get` raises NotFound when it is there."""
        self._call("DELETE", _path(name))

    def events(self, name: str, within: float) -> Iterator[dict[str, str]]:
        """Progress of the present deployment until it is Ready or Failed: {"time", "type", "status", "reason", "message"}.

        Raises TookTooLong after `within` seconds.
        """
        return self._stream(f"{_path(name)}/events", {}, time.monotonic() + within)

    def happened(self, name: str) -> Views:
        """All events that are known of the function, oldest first, as `events` has them."""
        items: Views = self._call("GET", f"{_path(name)}/events")[0]["items"]
        return items

    def happening(self, name: str) -> Iterator[dict[str, str]]:
        """Events of what was last asked for, and those to come, until the function is gone."""
        return self._stream(f"{_path(name)}/events", {"follow": "1"})

    def logs(self, name: str, follow: bool, tail: int, replica: str = "") -> Iterator[dict[str, str]]:
        """Lines that the function wrote, oldest first: {"time", "replica", "stream", "line"}."""
        return self._stream(f"{_path(name)}/logs", {"follow": "1" if follow else "0", "tail": str(tail), "replica": replica})

    def _call(self, method: str, path: str, **more: Any) -> tuple[dict[str, Any], int]:
        """The answer's document, {} without one, and its status."""
        with self._told():
            answer = self._http.request(method, path, **more)
            if not answer.is_success:
                raise _refusal(answer)
            document = json.loads(answer.content or b"{}")
            if not isinstance(document, dict):
                raise ValueError("not a JSON object")
            return document, answer.status_code

    def _stream(self, path: str, query: dict[str, str], deadline: float | None = None) -> Iterator[dict[str, str]]:
        limits = httpx2.Timeout(SECONDS, read=max(0.1, deadline - time.monotonic()) if deadline else None)
        params = {key: value for key, value in query.items() if value}
        with self._told(), self._http.sse(path, params=params, timeout=limits) as source:
            if not source.response.is_success:
                source.response.read()
                raise _refusal(source.response)
            for event in source:
                if deadline and time.monotonic() > deadline:
                    raise TookTooLong("the time is over")
                if event.data:
                    yield json.loads(event.data)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except httpx2.ConnectError as error:
            raise NoPlatform(f"no platform at {self.place.where}", self.place.start_hint) from error
        except httpx2.ReadTimeout as error:
            raise TookTooLong(f"the platform at {self.place.where} did not answer in time", "look at its log") from error
        except httpx2.TimeoutException as error:
            raise Failed(f"the platform at {self.place.where} did not answer in {SECONDS:.0f} s", "look at its log") from error
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise NoPlatform(
                f"the platform at {self.place.where} broke off: {error}", "look at its log, or start it again"
            ) from error
        except (ValueError, KeyError) as error:
            hint = "another program may listen there; give the platform's with --admin HOST:PORT"
            raise Failed(f"{self.place.where} does not answer as a platform does: {error}", hint) from error


def _path(name: str) -> str:
    if not name or "/" in name or name in (".", ".."):
        raise Misused(f"{name!r} is no name of a function", "`cloudbase list` shows the names")
    return f"functions/{quote(name, safe='')}"


def _refusal(answer: httpx2.Response) -> CommandError:
    """The platform's problem+json (RFC 9457) as the error that the command ends with."""
    try:
        problem = json.loads(answer.content)
    except ValueError:
        problem = {}
    problem = problem if isinstance(problem, dict) else {}
    text = str(problem.get("detail") or problem.get("title") or f"the platform answered {answer.status_code}")
    fields = [f"{each['field']}: {each['message']}" for each in problem.get("errors", []) if {"field", "message"} <= set(each)]
    if answer.status_code == 401:
        elsewhere = "kubectl" in text  # a cluster's own words say where a token is to be had
        here = "the token is in .cloudbase/token: run this in the platform's folder, or give --data DIR or --token"
        return Refused(text, "give a valid one with --token" if elsewhere else here)
    if answer.status_code == 404:
        replica = str(problem.get("type")).endswith(":no-such-replica")
        return NotFound(
            text, "`cloudbase logs NAME -t` says who wrote what" if replica else "`cloudbase list` shows what there is"
        )
    if answer.status_code >= 500:
        return Failed(text, "look at the platform's log")
    if str(problem.get("type")).endswith(":overtaken"):
        return Overtaken(text, "try it again")
    return Refused(_with_fields(text, fields))


def _with_fields(text: str, fields: list[str]) -> str:
    """The problem's detail, and a line for each field that is wrong: nothing is said twice where the detail has them, too."""
    said = bool(fields) and all(field in text for field in fields)
    if said and len(fields) == 1:
        return text
    return "\n  ".join([f"{len(fields)} fields are wrong:" if said else text, *fields])
