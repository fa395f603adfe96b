"""Reads the variables of the contract from the environment, and refuses those that make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from _cloudbase_runtime.process import Failure

BODY_LIMIT = 64 * 1024 * 1024  # bytes
POOL_SIZE = 40  # threads, where the function has no limit of its own


class Settings(NamedTuple):
    """What the starter asks for."""

    port: int
    host: str  # "" = every address
    socket: str  # path; "" = listen on the port
    name: str
    revision: str
    entry: str
    timeout: float  # seconds
    grace: float  # seconds from SIGTERM to SIGKILL
    threads: int
    body_limit: int  # bytes
    json: bool  # one JSON object for each log line
    parent_fd: int  # -1 = none

    @property
    def address(self) -> str:
        """Where a handler listens, as the ready line has it."""
        return f"unix:{self.socket}" if self.socket else f"{self.host or '127.0.0.1'}:{self.port}"


def read(env: Mapping[str, str]) -> Settings:
    """The settings in the environment. Raises Failure (BadSetting) and names the variable."""
    return Settings(
        port=int(_number(env, "PORT", 8080, 0, 65535)),
        host=env.get("HOST", ""),
        socket=env.get("CLOUDBASE_SOCKET", ""),
        name=env.get("CLOUDBASE_FUNCTION") or "function",
        revision=env.get("CLOUDBASE_REVISION", ""),
        entry=env.get("CLOUDBASE_ENTRY", ""),
        timeout=_number(env, "CLOUDBASE_TIMEOUT", 60, 0, 1e9),
        grace=_number(env, "CLOUDBASE_GRACE", 30, 0, 1e6),
        threads=int(_number(env, "CLOUDBASE_CONCURRENCY", 0, 0, 10_000)) or POOL_SIZE,
        body_limit=int(_number(env, "CLOUDBASE_BODY_LIMIT", BODY_LIMIT, 0, 1 << 62)),
        json=_choice(env, "CLOUDBASE_LOG_FORMAT", ("text", "json")) == "json",
        parent_fd=int(_number(env, "CLOUDBASE_PARENT_FD", -1, 0, 1 << 20)),
    )


def ready_fd(env: Mapping[str, str]) -> int:
    """The descriptor for the ready line, -1 when there is none: read first, so that a failure can be told."""
    return int(_number(env, "CLOUDBASE_READY_FD", -1, 0, 1 << 20))


def _number(env: Mapping[str, str], name: str, fallback: float, least: float, most: float) -> float:
    text = env.get(name, "")
    if not text:
        return fallback
    try:
        value = float(text)
    except ValueError:
        value = least - 1
    if least <= value <= most:
        return value
    raise Failure("BadSetting", f"{name} must be a number from {least:g} to {most:g}, was {text!r}")


def _choice(env: Mapping[str, str], name: str, values: tuple[str, ...]) -> str:
    text = env.get(name) or values[0]
    if text in values:
        return text
    raise Failure("BadSetting", f"{name} must be one of {', '.join(values)}, was {text!r}")
