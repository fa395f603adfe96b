"""Keeps the API's door in a cluster: the API server says who bears a token, and what they may do.

Whoever may `kubectl create functions` in a namespace may deploy there, and nobody else: TokenReview and SubjectAccessReview. An
answer is remembered for some seconds, since a client that follows a deployment asks often; tokens are remembered by hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from controller.ports import Verdict, Wish
from kube.client import Client
from kube.errors import KubeError
from kube.resource import Resource

TOKEN_REVIEWS: Resource[dict[str, Any]] = Resource(
    "authentication.k8s.io", "v1", "tokenreviews", "TokenReview", dict, namespaced=False
)
ACCESS_REVIEWS: Resource[dict[str, Any]] = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", dict, namespaced=False
)
GROUP, RESOURCE = "cloudbase.dev", "functions"
ALLOWED_SECONDS = 20.0  # that a yes is remembered: so long a token works on after it was revoked
REFUSED_SECONDS = 3.0  # that a no is: so long a new right is waited for
ASKED_AT_ONCE = 8  # tokens: whoever sends nonsense must not keep the API server busy
REMEMBERED = 4096  # answers of each kind

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Answers for some seconds, the oldest given up first. No clock: `now` is an argument."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._answers: dict[K, tuple[float, V]] = {}  # until when

    def get(self, key: K, now: float) -> V | None:
        until, answer = self._answers.get(key, (0.0, None))
        return answer if now < until else None

    def put(self, key: K, answer: V, until: float) -> None:
        self._answers.pop(key, None)
        self._answers[key] = (until, answer)
        if len(self._answers) > self._most:
            del self._answers[next(iter(self._answers))]


@dataclass(frozen=True, slots=True)
class Person:
    """Who bears a token, as the API server knows them; nobody without a name."""

    name: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    error: str = ""  # why the token is not known


class KubeDoorkeeper:
    """Doorkeeper that asks the API server."""

    hint = "one of your kubeconfig's user, or of a service account: kubectl create token NAME"

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        """`client` needs `create` on tokenreviews and subjectaccessreviews (the ClusterRole system:auth-delegator)."""
        self._client, self._clock = client, clock
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE)
        self._people: Memory[bytes, Person] = Memory()
        self._rights: Memory[tuple[Person, Wish], Verdict] = Memory()

    async def judge(self, token: str, wish: Wish) -> Verdict:
        try:
            person = await self._person(token)
            if not person.name:
                return Verdict(HTTPStatus.UNAUTHORIZED, f"the token is not valid{_because(person.error)}; take {self.hint}")
            return await self._right(person, wish) if wish.verb else Verdict()
        except KubeError as error:
            return Verdict(
                HTTPStatus.SERVICE_UNAVAILABLE, f"the API server could not be asked who this is and what they may do: {error}"
            )

    async def _person(self, token: str) -> Person:
        key, now = hashlib.sha256(token.encode("latin-1", "replace")).digest(), self._clock()
        if known := self._people.get(key, now):
            return known
        async with self._asking:
            review = await self._client.create(TOKEN_REVIEWS, {"metadata": {}, "spec": {"token": token}})
        person = _read(review.get("status") or {})
        self._people.put(key, person, self._clock() + (ALLOWED_SECONDS if person.name else REFUSED_SECONDS))
        return person

    async def _right(self, person: Person, wish: Wish) -> Verdict:
        if known := self._rights.get((person, wish), self._clock()):
            return known
        review = await self._client.create(ACCESS_REVIEWS, {"metadata": {}, "spec": _question(person, wish)})
        status = review.get("status") or {}
        verdict = Verdict() if status.get("allowed") else Verdict(HTTPStatus.FORBIDDEN, _refusal(person, wish, status))
        seconds = REFUSED_SECONDS if verdict.status else ALLOWED_SECONDS
        self._rights.put((person, wish), verdict, self._clock() + seconds)
        return verdict


def _read(status: dict[str, Any]) -> Person:
    user = status.get("user") or {}
    if not status.get("authenticated") or not user.get("username"):
        return Person(error=str(status.get("error") or ""))
    extra = tuple(sorted((key, tuple(values)) for key, values in (user.get("extra") or {}).items()))
    return Person(user["username"], user.get("uid", ""), tuple(user.get("groups") or ()), extra)


def _question(person: Person, wish: Wish) -> dict[str, Any]:
    attributes = {"group": GROUP, "resource": RESOURCE, "verb": wish.verb, "namespace": wish.namespace, "name": wish.name}
    return {
        "user": person.name,
        "uid": person.uid,
        "groups": person.groups,
        "extra": dict(person.extra),
        "resourceAttributes": {key: value for key, value in attributes.items() if value},
    }


def _refusal(person: Person, wish: Wish, status: dict[str, Any]) -> str:
    """In kubectl's words, with what to do."""
    what = f"{RESOURCE}.{GROUP}" + (f' "{wish.name[:80]}"' if wish.name else "")
    where = f"in the namespace {wish.namespace}" if wish.namespace else "in all namespaces"
    why = _because(str(status.get("reason") or status.get("evaluationError") or ""))
    bind = f"bind a Role with the verb {wish.verb} on {RESOURCE}.{GROUP} there, or ask who administers the cluster"
    return f"{person.name} cannot {wish.verb} {what} {where}{why}: {bind}"


def _because(words: str) -> str:
    return f" ({words})" if words else ""
