"""`cloudbase invoke`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from cloudbase import output as shown
from cloudbase.commands.options import connect, connects_but_data, names, within
from cloudbase.errors import Failed, Misused, NoPlatform, NotFound, TookTooLong
from cloudbase.place import Place


@click.command("invoke")
@names
@click.option("--data", "-d", "body", metavar="TEXT", help="The request's body; @FILE reads a file, @- stdin.")
@click.option("--method", "-X", metavar="VERB", help="The method.  [default: POST with a body, else GET]")
@click.option("--path", default="/", metavar="PATH", show_default=True, help="Path and query below /fn/NAME.")
@click.option("--header", "-H", "headers", metavar="NAME:VALUE", multiple=True, help="A header; may be repeated.")
@click.option("--include", "-i", is_flag=True, help="Print the answer's head, too.")
@within(120)
@click.option("--listen", metavar="HOST:PORT", help="The router's address.  [default: as the data folder says]")
@connects_but_data
def command(
    place: Place,
    name: str,
    body: str | None,
    method: str | None,
    path: str,
    headers: tuple[str, ...],
    include: bool,
    timeout: float,
    listen: str | None,
) -> None:
    """Call a function through the router.

    The answer's body goes to stdout as it is. An answer of 400 or more ends the command with 1, or 5 where there is
    no such function.
    """
    content = _content(body)
    below = path if path[:1] in ("/", "?") else "/" + path
    wanted = method or ("GET" if content is None else "POST")
    with _router(place, name, listen) as (traffic, front):
        answer = _call(place, wanted, f"http://{traffic}{front}{below}", _fields(headers), content, timeout)
    if include:
        fields = "".join(f"{key}: {value}\n" for key, value in answer.headers.multi_items())
        click.echo(f"{answer.http_version} {answer.status_code} {answer.reason_phrase}\n{fields}")
    sys.stdout.buffer.write(answer.content)
    sys.stdout.flush()
    if sys.stdout.isatty() and not answer.content.endswith(b"\n"):
        click.echo()
    if "server-timing" in answer.headers:
        shown.note(f"cold start: {answer.headers['server-timing']}")
    if answer.status_code >= 400:
        _complain(name, answer)


@contextmanager
def _router(place: Place, name: str, listen: str | None) -> Iterator[tuple[str, str]]:
    """HOST:PORT of the router and the function's path there; in a cluster the router is reached by a port forward."""
    if not (place.cluster or place.server):
        yield listen or str(place.listen), f"/fn/{name}"
        return
    with connect(place) as client:
        address = urlsplit(client.get(name)["url"])
    if listen or not place.cluster:
        yield listen or address.netloc, address.path
        return
    from cloudbase.reach import open_way

    way, closing = open_way(place, "router")
    try:
        yield str(way.listen), address.path
    finally:
        closing()


def _call(place: Place, method: str, url: str, headers: list[tuple[str, str]], content: bytes | None, timeout: float) -> Any:
    import httpx2

    try:
        with httpx2.Client(trust_env=False, timeout=timeout) as http:
            return http.request(method, url, headers=headers, content=content)
    except httpx2.ConnectError as error:
        raise NoPlatform(f"no router at {httpx2.URL(url).netloc.decode()}", place.start_hint) from error
    except httpx2.TimeoutException as error:
        raise TookTooLong(f"no answer in {timeout:g} s", "wait longer with --timeout") from error
    except (httpx2.LocalProtocolError, httpx2.InvalidURL, ValueError) as error:  # the first is a TransportError, too
        raise Misused(f"this cannot be sent: {error}") from error
    except httpx2.TransportError as error:
        raise Failed(f"the answer broke off: {error}", "`cloudbase logs` shows what the function wrote") from error


def _content(body: str | None) -> bytes | None:
    if body is None or not body.startswith("@"):
        return None if body is None else body.encode()
    if body == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(body[1:]).read_bytes()
    except OSError as error:
        raise Misused(f"cannot read {body[1:]}: {error.strerror}") from error


def _fields(headers: tuple[str, ...]) -> list[tuple[str, str]]:
    fields = []
    for text in headers:
        key, colon, value = text.partition(":")
        if not colon or not key.strip():
            raise Misused(f"--header {text!r} is not NAME:VALUE", 'write for example -H "Content-Type: application/json"')
        fields.append((key.strip(), value.strip()))
    return fields


def _complain(name: str, answer: Any) -> None:
    """An answer is the router's own when it is a problem+json; else the function gave it."""
    said = f"{name} answered {answer.status_code} {answer.reason_phrase}"
    if answer.status_code == 404 and answer.headers.get("content-type", "").startswith("application/problem+json"):
        raise NotFound(said, "`cloudbase list` shows what there is")
    raise Failed(said, f"`cloudbase logs {name}` shows what it wrote")
