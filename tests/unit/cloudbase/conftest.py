"""The command line over an API in memory, in a working folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudbase.cli import main
from tests.unit.cloudbase.fake_management_api import TOKEN, FakeApi, Run


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder below one with a data folder, and no CLOUDBASE_* around."""
    for name in ("DATA", "ADMIN", "LISTEN", "TOKEN", "SERVER", "CONTEXT", "NAMESPACE"):
        monkeypatch.delenv(f"CLOUDBASE_{name}", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    (tmp_path / ".cloudbase").mkdir()
    (tmp_path / ".cloudbase" / "token").write_text(TOKEN + "\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def run(api: FakeApi, home: Path) -> Run:
    def run(*arguments: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(main, arguments, input=stdin, obj=api.transport)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
