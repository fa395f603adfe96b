"""The same 200 requests through this router and through nginx: the function sees the same, but for the differences named here."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hostile.hostile_client import Client
from tests.integration.hostile.hostile_functions import Message, Recorder
from tests.shared.free_ports import free_port

REQUESTS = 200
NGINX = """
daemon off; master_process off; pid {dir}/pid; error_log stderr crit;
events {{ }}
http {{
    access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    upstream f {{ server 127.0.0.1:{upstream}; keepalive 8; }}
    map $request_uri $rest {{ "~^(?:http://[^/]*)?/fn/f(?<tail>/[^#]*)$" $tail; "~^(?:http://[^/]*)?/fn/f(?<query>\\?.*)?$" /$query; }}
    server {{
        listen 127.0.0.1:{port};
        location /fn/f {{
            proxy_pass http://f$rest; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Prefix /fn/f;
        }}
    }}
}}
"""

Fields = set[tuple[str, bytes]]


# Each named difference takes away what it explains, from what this router sent and from what nginx sent.


def adds_ids(ours: Fields, theirs: Fields) -> None:
    """X-Request-Id and traceparent are made when absent (W3C Trace Context 3.2)."""
    sent = {name for name, _ in theirs}
    ours -= {(name, value) for name, value in ours if name in ("x-request-id", "traceparent") and name not in sent}


def streams_chunks(ours: Fields, theirs: Fields) -> None:
    """A chunked body goes on as chunks; nginx collects it and sends its length (RFC 9112 6)."""
    if ("transfer-encoding", b"chunked") in ours and any(name == "content-length" for name, _ in theirs):
        ours.discard(("transfer-encoding", b"chunked"))
        theirs -= {field for field in theirs if field[0] == "content-length"}


def removes_named_fields(ours: Fields, theirs: Fields) -> None:
    """What Connection names is removed (RFC 9110 7.6.1); nginx passes it on."""
    theirs -= {field for field in theirs if field[0] == "x-hop" and field not in ours}


def announces_trailers(ours: Fields, theirs: Fields) -> None:
    """A client that takes trailers is passed on as one, hop by hop (RFC 9110 10.1.4); nginx drops trailers, and so TE."""
    ours -= {("te", b"trailers"), ("connection", b"TE"), ("connection", b"te")} - theirs


def removes_hop_by_hop(ours: Fields, theirs: Fields) -> None:
    """Proxy-Connection, Proxy-Authorization and HTTP2-Settings end here (RFC 9110 7.6.1 and 11.7.2, RFC 9113 3.1)."""
    theirs -= {field for field in theirs if field[0] in ("proxy-connection", "proxy-authorization", "http2-settings")}


def keeps_underscores(ours: Fields, theirs: Fields) -> None:
    """A field name with an underscore is a token like any other (RFC 9110 5.6.2); nginx drops it."""
    ours -= {field for field in ours if "_" in field[0] and field not in theirs}


def keeps_odd_tokens(ours: Fields, theirs: Fields) -> None:
    """So is one of the other characters of a token (RFC 9110 5.6.2); nginx drops the line."""
    ours -= {field for field in ours if set(field[0]) & set("!#$%&'*+.^`|~") and field not in theirs}


def drops_forwarded(ours: Fields, theirs: Fields) -> None:
    """Forwarded of an unknown client is not believed (RFC 7239 8.1); nginx passes it on."""
    theirs -= {field for field in theirs if field[0] in ("forwarded", "x-real-ip")}


def counts_hops(ours: Fields, theirs: Fields) -> None:
    """OPTIONS has one hop less to go (RFC 9110 7.6.2); nginx passes on the count that it got."""
    if ("max-forwards", b"2") in ours and ("max-forwards", b"3") in theirs:
        ours.discard(("max-forwards", b"2"))
        theirs.discard(("max-forwards", b"3"))


DIFFERENCES = [
    adds_ids, streams_chunks, announces_trailers, removes_named_fields, removes_hop_by_hop, keeps_underscores, keeps_odd_tokens, drops_forwarded,
    counts_hops,
]  # fmt: skip


def generated(number: int) -> bytes:
    """One valid request, different for each number and the same in every run."""
    choose = random.Random(number)
    path = b"".join(
        choose.choice((b"/", b"a", b"-", b".a", b"%41", b"%2F", b"%20", b";p", b"~", b"!", b"@", b":")) for _ in range(number % 9)
    )
    query = b"?" + b"q=%d&r=a/b?c" % number if choose.random() < 0.4 else b""
    method = choose.choice((b"GET", b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"))
    lines = [b"Host: " + choose.choice((b"h", b"h:80", b"h.example.com", b"127.0.0.1:8080", b"[::1]:80"))]
    lines += choose.sample(OPTIONAL, choose.randrange(0, 7))
    body = b""
    framing = choose.choice(("none", "none", "length", "chunked"))
    if framing == "length":
        body = choose.randbytes(choose.choice((0, 1, 100, 20_000)))
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(choose.choice((b"Transfer-Encoding: chunked", b"transfer-encoding: Chunked")))
        body = (
            b"".join(
                b"%x\r\n%s\r\n" % (size, b"z" * size) for size in (choose.randrange(1, 5000) for _ in range(choose.randrange(4)))
            )
            + b"0\r\n\r\n"
        )
    choose.shuffle(lines)
    return b"\r\n".join([method + b" /fn/f" + (b"/" + path if path else b"") + query + b" HTTP/1.1", *lines]) + b"\r\n\r\n" + body


OPTIONAL = [
    b"Accept: */*", b"User-Agent: differential/1", b"Cookie: a=b; c=d", b"Cookie: e=f", b"X-Empty:", b"X-Spaces:   a  b\t ", b"x-lower: 1",
    b"X-Twice: 1", b"X-Twice: 2", b"X_Under: 1", b"X!#$: 1", b"X-Latin: \xe4", b"Authorization: Bearer x", b"Accept-Encoding: gzip, br",
    b"Connection: keep-alive", b"Connection: X-Hop\r\nX-Hop: 1", b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"TE: trailers",
    b"Upgrade: h2c", b"HTTP2-Settings: AAMA", b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Proto: https", b"Forwarded: for=6.6.6.6",
    b"X-Request-Id: given-1", b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"If-None-Match: \"x\"", b"Range: bytes=0-1",
    b"Via: 1.1 other", b"Max-Forwards: 3", b"Date: Sun, 06 Nov 1994 08:49:37 GMT", b"Content-Type: text/plain", b"Proxy-Authorization: Basic eDp5",
]  # fmt: skip


@pytest.fixture(scope="module")
def nginx(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real nginx in front of the function `f`."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if not program:
        pytest.skip("needs nginx, the peer that this compares with: apt-get install nginx-light")
    folder: Path = tmp_path_factory.mktemp("nginx")
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(dir=folder, port=port, upstream=recorder.port))
    process = subprocess.Popen([program, "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"])
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                Client(port).socket.close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, "nginx does not start"
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def view(port: int, request: bytes, recorder: Recorder) -> Message:
    """What the function sees of the request through this proxy."""
    recorder.messages.clear()
    recorder.violations.clear()
    with Client(port) as client:
        client.send(request)
        response = client.response()
    assert response is not None and response.status == 200, (response, request[:500])
    (message,) = recorder.messages
    assert not recorder.violations
    return message


def unexplained(ours: Message, theirs: Message) -> tuple[list[str], Fields, Fields]:
    """The names of the differences that were needed, and the fields that none explains, on either side."""
    mine: Fields = {(name.decode(), value) for name, value in ours.fields}
    other: Fields = {(name.decode(), value) for name, value in theirs.fields}
    used = []
    for difference in DIFFERENCES:
        before = (set(mine), set(other))
        difference(mine, other)
        if before != (mine, other):
            used.append(difference.__name__)
    return used, mine - other, other - mine


def test_the_function_sees_what_it_would_see_behind_nginx(recording_router: int, nginx: int, recorder: Recorder) -> None:
    needed: set[str] = set()
    for number in range(REQUESTS):
        request = generated(number)
        ours, theirs = view(recording_router, request, recorder), view(nginx, request, recorder)
        assert (ours.method, ours.target, ours.body) == (theirs.method, theirs.target, theirs.body), request[:500]
        used, only_ours, only_theirs = unexplained(ours, theirs)
        assert not only_ours and not only_theirs, (request[:700], only_ours, only_theirs)
        needed.update(used)
    assert needed == {difference.__name__ for difference in DIFFERENCES}, "a difference that no request needs is not one"
    assert len(DIFFERENCES) <= 15
