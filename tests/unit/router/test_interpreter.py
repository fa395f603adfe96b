"""What is said at start of the interpreter and the build that run the router."""

from __future__ import annotations

import logging
import platform

import pytest

from router import interpreter
from router.compiled import COMPILED, STALE

OPTIMISED = "'--prefix=/usr' '--enable-optimizations'"


def runs(monkeypatch: pytest.MonkeyPatch, possessive: bool, configured: str, build: str) -> None:
    """On such an interpreter, in such a build."""
    monkeypatch.setattr(interpreter, "POSSESSIVE", possessive)
    monkeypatch.setattr(interpreter, "BUILD", build)
    monkeypatch.setattr(interpreter.sysconfig, "get_config_var", lambda _: configured)


def test_the_interpreter_and_the_build_are_said_first(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    runs(monkeypatch, True, OPTIMISED, COMPILED)
    with caplog.at_level("INFO"):
        interpreter.announce(logging.getLogger("router"))
    assert caplog.messages == [f"{platform.python_implementation()} {platform.python_version()}, compiled"]


@pytest.mark.parametrize(
    ("possessive", "configured", "build", "words"),
    [
        (False, OPTIMISED, COMPILED, "older than 3.11.5 and its `re` has a bug: the fast path for heads is off"),
        (True, "'--prefix=/opt/x'", COMPILED, "built without --enable-optimizations: the router is a fifth to a third slower"),
        (True, OPTIMISED, STALE, "the compiled router is older than its source, so the plain source runs"),
    ],
)
def test_whatever_makes_the_router_slower_is_said_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    possessive: bool,
    configured: str,
    build: str,
    words: str,
) -> None:
    runs(monkeypatch, possessive, configured, build)
    interpreter.announce(logging.getLogger("router"))
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert words in warning.message
