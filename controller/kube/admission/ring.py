"""Which certificates the webhooks have, and when which is made anew: a state in, a state out. Pure.

Two kinds with two lives. Authorities live long; what the API server trusts is all of them, so a new one is trusted for a
while before it signs anything. Serving certificates live shorter and are signed by an authority that the
API server has long heard of, so to renew one changes nothing that it trusts.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

DAY = 86_400.0  # seconds


class Certificate(msgspec.Struct, frozen=True):
    """A certificate with its key, both PEM."""

    certificate: str
    key: str
    made: float  # unix seconds
    ends: float


class Ring(msgspec.Struct, frozen=True):
    """All that is kept: the authorities, oldest first, and the certificate that is served."""

    authorities: tuple[Certificate, ...] = ()
    serving: Certificate | None = None
    signer: str = ""  # certificate of the authority that signed it
    names: tuple[str, ...] = ()  # that it was made for

    @property
    def bundle(self) -> str:
        """What the API server has to trust."""
        return "".join(each.certificate for each in self.authorities)


class Lives(msgspec.Struct, frozen=True):
    """How long certificates live, in seconds."""

    authority: float = 730 * DAY
    serving: float = 90 * DAY
    heard: float = DAY / 24  # until every API server certainly trusts a new authority

    def __post_init__(self) -> None:
        """A serving certificate is renewed at 2/3 of its life and its authority at half of its own."""
        if not self.heard < self.authority / 4 or self.serving > self.authority / 2:
            raise ValueError(
                "an authority must live twice as long as what it signs, and four times as long as it takes to be heard"
            )


USUAL = Lives()
Issue = Callable[[Certificate | None, tuple[str, ...], float, float], Certificate]  # signer (None: an authority), names, from, to


def renewed(ring: Ring, names: tuple[str, ...], now: float, lives: Lives, issue: Issue) -> Ring:
    """The ring as it has to be now; the same one when nothing is due.

    An authority at half of its life gets a successor; at 2/3 of its life, or when its names are others, or its signer is
    gone, the serving certificate is made anew.
    """
    living = tuple(each for each in ring.authorities if each.ends > now)
    if not living or now > (living[-1].made + living[-1].ends) / 2:
        living += (issue(None, (), now, now + lives.authority),)
    signer = _signer(living, now, lives)
    serving = ring.serving
    if serving is None or ring.names != names or _aged(serving, now) or ring.signer not in (a.certificate for a in living):
        end = min(now + lives.serving, signer.ends)
        return Ring(living, issue(signer, names, now, end), signer.certificate, names)
    return ring if living == ring.authorities else Ring(living, serving, ring.signer, names)


def due(ring: Ring, names: tuple[str, ...], now: float, lives: Lives) -> bool:
    """Whether `renewed` would make anything."""
    return renewed(ring, names, now, lives, lambda signer, names, made, ends: Certificate("", "", made, ends)) != ring


def _aged(serving: Certificate, now: float) -> bool:
    return now >= serving.made + (serving.ends - serving.made) * 2 / 3


def _signer(living: tuple[Certificate, ...], now: float, lives: Lives) -> Certificate:
    """The newest authority that everybody has heard of; the oldest where that is none, as on the first day."""
    heard = [each for each in living if now - each.made >= lives.heard]
    return heard[-1] if heard else living[0]
