"""Who may call the API: who bears the token, by a loopback name, and is no web page of elsewhere."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.api.problem import answer

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Guard:
    """ASGI middleware in front of everything.

    Host and Origin are judged first: a name that an attacker's DNS points at this machine (DNS rebinding), or a page of
    another origin, is refused (403) whatever it bears. Then the token (401), compared in constant time.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str] = LOOPBACK) -> None:
        self._app = app
        self._token = f"Bearer {token}".encode()
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if refused := self._stranger(headers):
                await answer(403, refused)(scope, receive, send)
                return
            if refused := self._tokenless(headers):
                await answer(401, refused, headers={"WWW-Authenticate": 'Bearer realm="cloudbase"'})(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _stranger(self, headers: Headers) -> str:
        """Why the names in the request show that it comes from elsewhere; "" when they do not."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or _name(f"//{hosts[0]}") not in self._hosts:
            return f"the Host {_shown(hosts)} is not this machine: call the API by {' or '.join(sorted(self._hosts))}"
        if origins and (len(origins) != 1 or not _same(origins[0], hosts[0])):
            return f"web pages of {_shown(origins)} may not call the API"
        return ""

    def _tokenless(self, headers: Headers) -> str:
        given = headers.getlist("authorization")
        if not given:
            return (
                "there is no token: send `Authorization: Bearer <token>`; it is in the platform's data folder, in the file token"
            )
        scheme, _, token = given[0].partition(" ")
        same = hmac.compare_digest(f"{scheme.title()} {token.strip()}".encode("latin-1", "replace"), self._token)
        return "" if same and len(given) == 1 else "the token is wrong: it is in the platform's data folder, in the file token"


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
