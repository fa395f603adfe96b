"""The commands of the reference pages work as they are written: docs/cli.md and docs/router-settings.md."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from loadtest.local import Platform, environment
from tests.shared.commands_in_docs import played
from tests.shared.tour import play

TEST = str(Path(__file__).relative_to(Path(__file__).parents[2]))
WORDS = {"docs/cli.md": {}, "docs/router-settings.md": {"0.0.0.0:8080": "127.0.0.1:0"}}  # port 8080 may be another's

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.mark.parametrize("page", WORDS)
def test_the_commands_of_a_page_work_as_they_are_written(running: Platform, tmp_path: Path, page: str) -> None:
    env = {name: value for name, value in environment().items() if name not in os.environ or os.environ[name] != value}
    env |= {"CLOUDBASE_DATA": str(running.data)}
    print(play(played(page, TEST), tmp_path, words=WORDS[page], env=env, programs={}, within=100))
