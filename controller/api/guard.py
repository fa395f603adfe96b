"""Who may call the API: who bears a token that allows it, by an expected name, and is no web page of elsewhere."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.api.problem import answer
from controller.api.wishes import wish
from controller.ports import Doorkeeper, Verdict, Wish

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="cloudbase"'}
_LATER = {"Retry-After": "5"}


class Token:
    """A Doorkeeper with one token, which allows everything; compared in constant time."""

    hint = "it is in the platform's data folder, in the file token"

    def __init__(self, token: str) -> None:
        if not token:
            raise ValueError("the API needs a token: an empty one would let everybody in")
        self._token = token.encode()

    async def judge(self, token: str, wish: Wish) -> Verdict:
        same = hmac.compare_digest(token.encode("latin-1", "replace"), self._token)
        return Verdict() if same else Verdict(HTTPStatus.UNAUTHORIZED, f"the token is wrong: {self.hint}")


class Guard:
    """ASGI middleware in front of everything.

    Host and Origin are judged first: a name that an attacker's DNS points at this machine (DNS rebinding), or a page of
    another origin, is refused (403) whatever it bears. Then the token (401) and what it allows (403).
    """

    def __init__(
        self,
        app: ASGIApp,
        keeper: Doorkeeper,
        hosts: Collection[str] | None = LOOPBACK,
        namespace: str = "default",
        exists: Callable[[str, str], bool] = lambda namespace, name: False,
    ) -> None:
        """`hosts`: names that the API may be called by, None = any. `namespace`: the usual one. `exists`: as `wish` takes it."""
        self._app, self._keeper, self._namespace, self._exists = app, keeper, namespace, exists
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (verdict := await self._judged(scope)).status:
            headers = {401: _CHALLENGE, 503: _LATER}.get(verdict.status)
            await answer(verdict.status, verdict.reason, headers=headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _judged(self, scope: Scope) -> Verdict:
        headers = Headers(scope=scope)
        if refused := self._stranger(headers):
            return Verdict(HTTPStatus.FORBIDDEN, refused)
        given = headers.getlist("authorization")
        if not given:
            return Verdict(
                HTTPStatus.UNAUTHORIZED, f"there is no token: send `Authorization: Bearer <token>`; {self._keeper.hint}"
            )
        scheme, _, token = given[0].partition(" ")
        if len(given) != 1 or scheme.lower() != "bearer" or not token.strip():
            return Verdict(HTTPStatus.UNAUTHORIZED, f"send one header `Authorization: Bearer <token>`; {self._keeper.hint}")
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("namespace", [""])[0] or self._namespace
        return await self._keeper.judge(token.strip(), wish(scope["method"], scope["path"], asked, self._exists))

    def _stranger(self, headers: Headers) -> str:
        """Why the names in the request show that it comes from elsewhere; "" when they do not."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if self._hosts is not None and (len(hosts) != 1 or _name(f"//{hosts[0]}") not in self._hosts):
            return f"the Host {_shown(hosts)} is not this machine: call the API by {' or '.join(sorted(self._hosts))}"
        if origins and (len(origins) != 1 or len(hosts) != 1 or not _same(origins[0], hosts[0])):
            return f"web pages of {_shown(origins)} may not call the API"
        return ""


def _name(url: str) -> str:
    """The host in a URL, lower case and without port; "" when it has none or is malformed."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no port
    except ValueError:
        return ""
    plain = not (parts.username or parts.password or parts.path or parts.query or parts.fragment)
    return (parts.hostname or "") if plain else ""


def _same(origin: str, host: str) -> bool:
    """Whether an Origin (RFC 6454: scheme://host[:port]) names the very host and port that was called."""
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _shown(values: list[str]) -> str:
    return ", ".join(f'"{value[:80]}"' for value in values) or "that is missing"
