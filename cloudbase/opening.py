"""What a platform needs for itself alone, taken before anything starts: its data folder and its two ports. All or nothing.

Everything that is taken already is told at once, with one command that avoids all of it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cloudbase.claim import Claim
from cloudbase.errors import CommandError, FolderTaken, PortTaken
from cloudbase.listening import bound, listen
from cloudbase.settings import Address, Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Opened:
    """The platform's own, until `close`."""

    claim: Claim
    traffic: socket.socket
    admin: socket.socket

    def close(self) -> None:
        """Give all of it back."""
        self.traffic.close()
        self.admin.close()
        self.claim.release()


def open_all(settings: Settings) -> Opened:
    """Take folder and ports. Raises PortTaken or FolderTaken with everything that is taken, Misused for what cannot be."""
    taken: list[tuple[str, CommandError]] = []
    with ExitStack() as undo:

        def take(flag: str, make: Callable[[], T]) -> T | None:
            try:
                return make()
            except (PortTaken, FolderTaken) as error:
                taken.append((flag, error))
                return None

        traffic = take("--listen", lambda: undo.enter_context(listen(settings.listen, "--listen")))
        admin = take("--admin", lambda: undo.enter_context(listen(settings.admin, "--admin")))
        claim = take("--data", lambda: undo.enter_context(Claim(settings.data)))
        if traffic is None or admin is None or claim is None:
            raise _all_taken(settings, taken)
        undo.pop_all()
        return Opened(claim, traffic, admin)


def _all_taken(settings: Settings, taken: list[tuple[str, CommandError]]) -> CommandError:
    other = {
        "--listen": lambda: str(_free_near(settings.listen)),
        "--admin": lambda: str(_free_near(settings.admin)),
        "--data": lambda: str(_other_folder(settings.data)),
    }
    instead = [(flag, other[flag]()) for flag, _ in taken]
    flags = " ".join(f"{flag} {value}" for flag, value in instead)
    variables = " ".join(f"CLOUDBASE_{flag.strip('-').upper()}={value}" for flag, value in instead)
    hint = f"stop that one, or choose others: `cloudbase dev {flags}`, or `{variables} make run`"
    return type(taken[0][1])("; ".join(error.message for _, error in taken), hint)


def _free_near(address: Address) -> Address:
    """A port of the same host that is free now: 1000 on, 2000 on, … or any."""
    for port in (*range(address.port + 1000, 65536, 1000), 0):
        try:
            with listen(Address(address.host, port), "") as sock:
                return bound(sock)
        except CommandError:
            continue
    return Address(address.host, 0)


def _other_folder(folder: Path) -> Path:
    return next(other for at in range(2, 1000) if not (other := folder.with_name(f"{folder.name}-{at}")).exists())
