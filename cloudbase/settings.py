"""The settings of the commands and of the local platform: by flag, environment (CLOUDBASE_*) and settings file, in that order.

The environment is read here only. A bad value raises Misused with the place it stands at, what it must be and what it was.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cloudbase.errors import Misused

if TYPE_CHECKING:
    from router.settings import Settings as RouterSettings

DATA = ".cloudbase"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or to connect: a host (name or address, without brackets) and a port; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


LISTEN = Address("127.0.0.1", 8080)
ADMIN = Address("127.0.0.1", 8081)


@dataclass(frozen=True, slots=True)
class Settings:
    """What `cloudbase dev` may be told. Every field is a flag, a CLOUDBASE_* variable and a key of the settings file."""

    listen: Address = LISTEN  # functions' traffic
    admin: Address = ADMIN  # health, metrics and the management API; loopback only, since it runs code
    data: Path = Path(DATA)  # the folder of everything that the platform keeps
    log_format: Literal["auto", "human", "json"] = "auto"  # auto: human in a terminal, JSON elsewhere
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    stop_grace: float = 10.0  # seconds that requests in flight get when the platform stops


def read(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """Settings from the file, the environment over it, and the flags over both; a flag of None was not given.

    Without `file`, `settings.toml` in the data folder is read where there is one. Raises Misused.
    """
    environ = os.environ if environ is None else environ
    stated = _from_environ(environ) | _from_flags(flags)
    folder = stated.get("data", Settings().data)
    return replace(Settings(), **(_from_file(file, folder) | stated))


def variable(name: str) -> str | None:
    """A CLOUDBASE_* variable that the commands read, such as `variable("token")`; an empty one counts as absent."""
    return os.environ.get(f"CLOUDBASE_{name.upper()}") or None


def kubeconfig() -> str:
    """The kubeconfig's file or files, as kubectl finds them."""
    return os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


def router(environ: Mapping[str, str] | None = None) -> RouterSettings:
    """The data plane's own settings, by ROUTER_* variables and the file that ROUTER_CONFIG names. Raises Misused."""
    from router.options import BadSetting  # only the platform needs the router's code
    from router.settings import load

    try:
        return load({}, os.environ if environ is None else environ)
    except BadSetting as error:
        raise Misused(str(error)) from error


def environment() -> dict[str, str]:
    """The whole environment, for builds and functions, which get the harmless part of it."""
    return dict(os.environ)


def address(value: Any) -> Address:
    """Read HOST:PORT, [v6]:PORT or :PORT (loopback). Raises ValueError with what it must be."""
    text = str(value)
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:8080")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare and bare == host:
        raise ValueError("must put an IPv6 address in brackets, such as [::1]:8080")
    return Address(bare or "127.0.0.1", int(port))


def admin_address(value: Any) -> Address:
    """As `address`, on this machine only."""
    found = address(value)
    if not found.loopback:
        raise ValueError("must be a loopback address such as 127.0.0.1:8081, since whoever reaches it can run code")
    return found


def _one_of(*choices: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return convert


def _seconds(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number <= 86400:
        raise ValueError("must be a number of seconds from 0 to 86400")
    return number


def _folder(value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("must be the path of a folder")
    return Path(value)


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "listen": address,
    "admin": admin_address,
    "data": _folder,
    "log_format": _one_of("auto", "human", "json"),
    "log_level": _one_of("debug", "info", "warning", "error"),
    "stop_grace": _seconds,
}


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _checked(f"--{name.replace('_', '-')}", name, value)
        for name, value in flags.items()
        if name in _CONVERT and value is not None
    }


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {f"CLOUDBASE_{name.upper()}": name for name in _CONVERT}
    return {name: _checked(key, name, environ[key]) for key, name in names.items() if environ.get(key)}


def _from_file(file: Path | None, folder: Path) -> dict[str, Any]:
    path = file or folder / "settings.toml"
    if file is None and not path.exists():
        return {}
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise Misused(
            f"cannot read the settings file {path}: {error.strerror}", "give a file that is there with --config"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        hint = 'text stands in quotes (listen = "127.0.0.1:9080"); docs/cli.md has the keys'
        raise Misused(f"cannot read the settings file {path}: {error}", hint) from error
    known = {name.replace("_", "-"): name for name in _CONVERT if name != "data" or file is not None}
    for key in table:
        if key not in known:
            raise Misused(f"{path}: there is no setting {key!r}", f"use one of: {', '.join(sorted(known))}")
    return {known[key]: _checked(f"{path}: {key}", known[key], value) for key, value in table.items()}


def _checked(place: str, name: str, value: Any) -> Any:
    try:
        return _CONVERT[name](value)
    except ValueError as error:
        raise Misused(f"{place} {error}, was {str(value)!r}") from error
