"""Fixtures of the runtimes' tests: a function in each form, as a real process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.runtimes.behaviours import FORMS
from tests.shared.function_process import FunctionProcess

Start = Callable[..., FunctionProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the behaviours' function in a form; it ends with the test."""
    with ExitStack() as stack:

        def start(form: str, **settings: object) -> FunctionProcess:
            runtime, file, text = FORMS[form]
            folder = tmp_path / form
            folder.mkdir()
            (folder / file).write_text(text)
            process = FunctionProcess(runtime, folder, **settings)  # type: ignore[arg-type]
            return stack.enter_context(process)

        yield start
