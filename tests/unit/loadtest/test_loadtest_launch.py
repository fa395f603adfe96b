"""The launcher of the comparison changes no default: what it measures is what everybody runs."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from loadtest import launch
from router.model import Settings as RouteSettings
from router.settings import Settings


def test_the_features_that_it_names_are_all_defaults_of_the_router_and_of_a_route() -> None:
    found = launch.features()

    for kind, defaults in (("router", Settings()), ("route", RouteSettings())):
        named = {name.removeprefix(f"{kind}."): value for name, value in found.items() if name.startswith(f"{kind}.")}
        assert list(named) == [field.name for field in dataclasses.fields(defaults)]
        for name, value in named.items():
            default = getattr(defaults, name)
            assert value == (", ".join(default) if isinstance(default, tuple) else str(default))


def test_it_gives_the_router_no_option_but_where_to_listen_and_where_to_route_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDBASE_PYTHON", raising=False)

    words = launch.command("127.0.0.1:1", "127.0.0.1:2", routes=3)

    assert words[0] == str(Path(launch.ROOT) / ".venv/bin/python")
    assert words[1:] == [
        *("-m", "router", "--listen", "127.0.0.1:1", "--route", "hello=127.0.0.1:2"),
        *("--route", "dummy-1=127.0.0.1:9", "--route", "dummy-2=127.0.0.1:9"),
    ]


def test_no_variable_of_the_environment_overrides_a_default() -> None:
    assert launch.environment({"ROUTER_TRIES": "1", "CLOUDBASE_PYTHON": "x", "PATH": "y"}) == {"PATH": "y"}
    assert launch.environment({"CLOUDBASE_PLAIN": "1"}) == {"CLOUDBASE_PLAIN": "1"}  # the same features, another build


def test_the_interpreter_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDBASE_PYTHON", sys.executable)

    assert launch.command("127.0.0.1:1", "127.0.0.1:2")[0] == sys.executable
