"""Ports for servers that a test starts later, or again: not of those that the kernel gives to whoever asks for any port."""

from __future__ import annotations

import errno
import random
import socket

FIRST, LAST = 15_000, 29_000  # below every system's ephemeral ports, and below Kubernetes' node ports
TRIES = 100
_random = random.SystemRandom()  # Hypothesis seeds the usual one: test processes would choose alike


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has. No connection that goes out takes it meanwhile, also while its server is away."""
    for _ in range(TRIES):
        port = _random.randrange(FIRST, LAST)
        try:
            with socket.create_server((host, port)):
                return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError(f"{TRIES} ports of {host} from {FIRST} to {LAST} are all taken")
