"""When certificates are made anew: always before they end, and never so that somebody does not trust them yet."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.kube.admission.ring import DAY, Certificate, Lives, Ring, due, renewed

NAMES = ("cloudbase.system.svc",)
LIVES = Lives()


def issuer() -> object:
    numbers = itertools.count()

    def issue(signer: Certificate | None, names: tuple[str, ...], made: float, ends: float) -> Certificate:
        return Certificate(f"{'serving' if signer else 'authority'} {next(numbers)}\n", "key", made, ends)

    return issue


def test_the_first_look_makes_both_and_the_second_nothing() -> None:
    issue = issuer()
    ring = renewed(Ring(), NAMES, 0.0, LIVES, issue)  # type: ignore[arg-type]
    assert ring.serving is not None and ring.signer == ring.bundle == "authority 0\n"
    assert renewed(ring, NAMES, DAY, LIVES, issue) is ring  # type: ignore[arg-type]
    assert due(Ring(), NAMES, 0.0, LIVES) and not due(ring, NAMES, DAY, LIVES)


def test_other_names_make_another_certificate_with_the_same_authority() -> None:
    issue = issuer()
    ring = renewed(Ring(), NAMES, 0.0, LIVES, issue)  # type: ignore[arg-type]
    other = renewed(ring, ("other",), 1.0, LIVES, issue)  # type: ignore[arg-type]
    assert other.authorities == ring.authorities and other.serving != ring.serving


@settings(max_examples=50)
@given(st.floats(0.001, 40 * DAY), st.integers(1, 400))
def test_at_every_look_what_is_served_is_valid_and_its_signer_was_heard_of(pace: float, looks: int) -> None:
    issue, ring, now = issuer(), Ring(), 0.0
    trusted_since: dict[str, float] = {}
    for _ in range(looks):
        before = ring.serving
        ring = renewed(ring, NAMES, now, LIVES, issue)  # type: ignore[arg-type]
        for each in ring.authorities:
            trusted_since.setdefault(each.certificate, now)
        serving = ring.serving
        assert serving is not None and serving.made <= now < serving.ends
        assert ring.signer in [each.certificate for each in ring.authorities if each.ends >= serving.ends]
        if before is not None and before.ends > now and serving != before and len(ring.authorities) > 1:
            assert now - trusted_since[ring.signer] >= LIVES.heard
        assert len(ring.authorities) <= 3
        assert all(each.ends > now for each in ring.authorities)
        now += pace


def test_lives_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="twice as long"):
        Lives(authority=10.0, serving=6.0, heard=1.0)
