"""Settings as data classes: what flags and variables are read as, and what the flags' help says."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from router.options import BadSetting, add_flags, check_least, given, setting, stated


@dataclass(frozen=True)
class Kitchen:
    name: str = setting("", "what it is called")
    ovens: int = setting(1, "100 % hot", 1)
    heat: float = setting(180.0, "degrees")
    open: bool = setting(True, "guests may come")
    cooks: tuple[str, ...] = setting((), "who cooks")
    prices: Mapping[str, str] = setting({"tea": "2"}, "of the menu")


def test_text_is_read_as_what_the_default_is() -> None:
    environ = {
        "K_NAME": "a,b", "K_OVENS": "2", "K_HEAT": "90.5", "K_OPEN": "False",
        "K_COOKS": "ann, bob,", "K_PRICES": "tea = 3,pie=4=5",
    }  # fmt: skip
    found = stated(Kitchen, {}, environ, "K_")
    assert found == {
        "name": "a,b", "ovens": 2, "heat": 90.5, "open": False, "cooks": ("ann", "bob"), "prices": {"tea": "3", "pie": "4=5"}
    }  # fmt: skip
    assert stated(Kitchen, {"ovens": "3"}, {"K_OVENS": "many"}, "K_") == {"ovens": 3}, "a flag is heard first"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("ovens", "2.5", "a whole number"),
        ("heat", "hot", "a number"),
        ("open", "perhaps", "true or false"),
        ("prices", "tea", "NAME=VALUE, separated by commas"),
    ],
)
def test_what_cannot_be_is_named_by_the_flag_or_the_variable(name: str, text: str, words: str) -> None:
    with pytest.raises(BadSetting, match=f"^--big-{name} must be {words}, was '{text}'$"):
        stated(Kitchen, {name: text}, {}, "K_", "big")
    with pytest.raises(BadSetting, match=f"^K_{name.upper()} must be {words}, was '{text}'$"):
        stated(Kitchen, {}, {f"K_{name.upper()}": text}, "K_")
    with pytest.raises(BadSetting, match="K_OVENS must be at least 1, was 0"):
        check_least(Kitchen(ovens=0), "K_")


def test_flags_are_told_with_meaning_and_default_and_only_those_given_count() -> None:
    parser = ArgumentParser(prog="kitchen")
    add_flags(parser, Kitchen, "big")
    told = " ".join(parser.format_help().split())
    assert "--big-ovens OVENS 100 % hot (default 1)" in told
    assert "who cooks (default none)" in told and "of the menu (default tea=2)" in told and "degrees (default 180)" in told
    assert given(vars(parser.parse_args(["--big-heat", "9"])), Kitchen, "big") == {"heat": "9"}
