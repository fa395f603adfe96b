"""One readiness probe of one pod, as the kubelet would make it: HTTP (200 to 399), a TCP connection, or gRPC health checking.

gRPC is spoken with just enough of HTTP/2 (RFC 9113) for one call of grpc.health.v1.Health/Check: literal fields, no window to
mind for an answer of seven bytes.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from typing import Final

from router.kube.model import Probe

HEAD_MOST: Final = 16384  # bytes of a response head that are looked at
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 1, 1, 4, 8
_SERVING: Final = b"\x08\x01"  # HealthCheckResponse{status: SERVING}


async def passes(probe: Probe, host: str, port: int) -> bool:
    """Whether the pod says that it is ready. Every failure is a no: it is asked again soon."""
    try:
        async with asyncio.timeout(probe.timeout):
            return await _ask(probe, host, probe.port or port)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return False  # nothing listens there yet, or it speaks something else


async def _ask(probe: Probe, host: str, port: int) -> bool:
    context = _unchecked() if probe.tls else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context, limit=HEAD_MOST)
    try:
        if probe.kind == "tcp":
            return True
        if probe.kind == "grpc":
            return await _grpc(reader, writer, probe.service)
        writer.write(_get(probe, host, port))
        status = await reader.readuntil(b"\n")
        return status.startswith(b"HTTP/1.") and 200 <= int(status[9:12]) <= 399
    finally:
        writer.transport.abort()  # nothing is left to say, and TIME_WAIT for each probe would add up


def _get(probe: Probe, host: str, port: int) -> bytes:
    own = {name.lower() for name, _ in probe.fields}
    usual = {
        "Host": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "User-Agent": "kube-probe/cloudbase",
        "Accept": "*/*",
    }
    fields = [*((name, value) for name, value in usual.items() if name.lower() not in own), *probe.fields]
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"GET {probe.path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode("latin-1")


def _unchecked() -> ssl.SSLContext:
    """The kubelet does not look at certificates either."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# --- gRPC ---


async def _grpc(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: str) -> bool:
    name = service.encode()
    message = (b"\x0a" + bytes([len(name)]) + name) if name else b""
    body = b"\0" + struct.pack(">I", len(message)) + message
    writer.write(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + _frame(_HEADERS, _END_HEADERS, 1, _fields()))
    writer.write(_frame(_DATA, _END_STREAM, 1, body))
    answer = b""
    while len(answer) < 7:
        kind, flags, stream, payload = await _read_frame(reader)
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _DATA and stream == 1:
            answer += payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
        if kind in (_RST, _GOAWAY) or (stream == 1 and flags & _END_STREAM and kind in (_DATA, _HEADERS)):
            break
    return answer[5:] == _SERVING


def _fields() -> bytes:
    """HPACK (RFC 7541) without a table of our own: indexed where the static table has it, literal else."""
    path, kind = b"/grpc.health.v1.Health/Check", b"application/grpc"
    return b"".join(
        (
            b"\x83\x86",  # :method POST, :scheme http
            b"\x04", bytes([len(path)]), path,  # :path
            b"\x01\x05probe",  # :authority
            b"\x0f\x10", bytes([len(kind)]), kind,  # content-type
            b"\x00\x02te\x08trailers",
        )
    )  # fmt: skip


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    head = await reader.readexactly(9)
    length = int.from_bytes(head[:3], "big")
    if length > HEAD_MOST:
        raise ValueError(f"a frame of {length} bytes")
    return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, await reader.readexactly(length)
