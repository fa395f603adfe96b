"""What a function's spec says of its requests is what its route says."""

from __future__ import annotations

from dataclasses import fields

import pytest

from controller import plan
from controller.model import Function, FunctionSpec
from router.model import Settings

OTHER = {int: 7, float: 7.5, str: "fin", tuple: ("chat", "websocket")}


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_every_setting_of_a_route_is_a_setting_of_its_function_with_the_same_default(name: str) -> None:
    usual = getattr(Settings(), name)
    assert getattr(FunctionSpec(), name) == usual
    other = OTHER[type(usual)]
    assert other != usual
    function = Function(name="hello", project="default", spec=FunctionSpec(**{name: other}))
    assert getattr(plan.route(function, ()).settings, name) == other
