"""docs/router-settings.md says what the settings are: every one, with its default."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from router.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "router-settings.md"
ROW = re.compile(r"^\| `(\w+)` \| `(ROUTER_\w+)` \| ([^|]+) \| (.+) \|$", re.MULTILINE)


def shown(default: object) -> str:
    """A default as the page writes it."""
    if default in ("", ()):
        return "none"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_page_lists_every_setting_with_its_default_and_meaning() -> None:
    rows = {name: (variable, default, meaning) for name, variable, default, meaning in ROW.findall(PAGE.read_text())}
    assert rows == {
        one.name: (PREFIX + one.name.upper(), shown(one.default), one.metadata["meaning"]) for one in fields(Settings)
    }
