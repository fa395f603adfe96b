"""How the Python runtime finds what to run, the catalog of runtimes, and what keeps both runtimes to their promises."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from _cloudbase_runtime.entry import Entry, find
from _cloudbase_runtime.process import EXIT_CODES, Failure

from controller.model import FunctionSpec
from runtimes.catalog import EXIT_REASONS, FOLDER, RUNTIMES, Runtime

ROOT = FOLDER.parent


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("def handler(r): ...", "handler"),
        ("async def handler(r): ...", "handler"),
        ("app = make()", "app"),
        ("app: object = make()", "app"),
        ("from web import application", "application"),
        ("from web import api as app", "app"),
        ("try:\n    import fast as app\nexcept ImportError:\n    import slow as app", "app"),
        ("app, other = make()", "app"),
        ("app = 1\ndef handler(r): ...", "handler"),
        ("x = 1", ""),
        ("def inner():\n    app = 1", ""),
        ("if __name__ == '__main__':\n    app = make()\n    app.run()", ""),
    ],
)
def test_the_form_is_told_by_the_names_at_top_level(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(text)
    assert find(tmp_path, "") == Entry(file=tmp_path / "main.py", name=name)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("lib.py", Entry(file=Path("lib.py"), name="app")),
        ("lib", Entry(file=Path("lib.py"), name="app")),
        ("lib.py:other", Entry(file=Path("lib.py"), name="other")),
        ("a.b:c", Entry(module="a.b", name="c")),
        ("$ gunicorn lib:app", Entry(command="gunicorn lib:app")),
    ],
)
def test_entry_may_be_a_file_a_module_or_a_command(entry: str, expected: Entry, tmp_path: Path) -> None:
    (tmp_path / "lib.py").write_text("app = 1")
    found = find(tmp_path, entry)
    assert (found.module, found.name, found.command) == (expected.module, expected.name, expected.command)
    assert found.file == (tmp_path / expected.file if expected.file else None)


@pytest.mark.parametrize("entry", ["nope.py", "nope", "sub/nope.py:app"])
def test_an_entry_that_is_not_there_is_named(entry: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=re.escape(repr(entry))) as missing:
        find(tmp_path, entry)
    assert missing.value.reason == "EntryMissing"


def test_exit_codes_are_the_same_in_the_contract_the_catalog_and_both_runtimes() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", (ROOT / "docs" / "runtime-contract.md").read_text(), re.MULTILINE)
    assert {int(code): reason for code, reason in rows} == dict(EXIT_REASONS)
    codes = {reason: code for code, reason in EXIT_REASONS.items() if code != 1}
    assert codes == EXIT_CODES
    node = re.findall(r"^  (\w+): (\d+),$", (FOLDER / "node" / "process.cjs").read_text(), re.MULTILINE)
    assert codes == {reason: int(code) for reason, code in node}


def test_every_variable_of_the_contract_is_read_by_both_runtimes_and_no_other() -> None:
    documented = set(
        re.findall(r"^\| `(CLOUDBASE_\w+|PORT|HOST)`", (ROOT / "docs" / "runtime-contract.md").read_text(), re.MULTILINE)
    )
    python = (FOLDER / "python" / "_cloudbase_runtime" / "settings.py").read_text()
    node = (FOLDER / "node" / "settings.cjs").read_text()
    assert set(re.findall(r'"(CLOUDBASE_\w+|PORT|HOST)"', python)) == documented
    # Node has one thread and nothing to size.
    assert set(re.findall(r"\b(CLOUDBASE_\w+|PORT|HOST)\b", node)) == documented - {"CLOUDBASE_CONCURRENCY"}


def test_what_the_catalog_starts_is_there() -> None:
    for runtime in RUNTIMES.values():
        assert Path(runtime.arguments[-1]).exists()
        assert runtime.command("/bin/x")[0] == "/bin/x"


def test_the_python_runtime_parses_on_the_oldest_interpreter_it_promises() -> None:
    for file in (FOLDER / "python" / "_cloudbase_runtime").glob("*.py"):
        ast.parse(file.read_text(), str(file), feature_version=(3, 9))


def test_the_python_runtime_imports_the_standard_library_only() -> None:
    for file in (FOLDER / "python" / "_cloudbase_runtime").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                assert module.split(".")[0] in {*sys.stdlib_module_names, "_cloudbase_runtime"}, f"{file.name} imports {module}"


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=list(RUNTIMES))
def test_the_dockerfile_starts_what_the_catalog_starts(runtime: Runtime) -> None:
    text = runtime.dockerfile.read_text()
    started = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[1])  # type: ignore[index]
    inside = [str(argument).replace(str(FOLDER), "/cloudbase") for argument in runtime.arguments]
    assert started[1:] == inside
    assert "ARG BASE\nFROM ${BASE}\n" in text
    assert f"COPY runtime/ /cloudbase/{runtime.name}/" in text


def test_every_setting_of_a_function_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (?:`([^`]*)`)? ?\| ", (ROOT / "docs" / "function.md").read_text(), re.MULTILINE)
    documented = {key: json.loads(default) if default else None for key, default in rows}
    assert documented == dict(settings(FunctionSpec, "")) | {"runtime": None}


def settings(kind: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, object]]:
    """Dotted keys and defaults; `source` is the platform's own."""
    for field in msgspec.structs.fields(kind):
        default = None if field.default is msgspec.NODEFAULT else field.default
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else default
        if isinstance(default, msgspec.Struct):
            yield from settings(type(default), f"{field.encode_name}.")
        elif field.name != "source":
            yield prefix + field.encode_name, list(default) if isinstance(default, tuple) else default


@pytest.mark.parametrize("folder", sorted((ROOT / "examples").iterdir()), ids=lambda folder: folder.name)
def test_every_example_is_listed_and_its_settings_are_valid(folder: Path) -> None:
    assert f"`examples/{folder.name}`" in (ROOT / "docs" / "function.md").read_text()
    table = tomllib.loads((folder / "cloudbase.toml").read_text())
    table.pop("name", None)
    assert msgspec.convert(table, FunctionSpec).runtime == folder.name.split("-")[0]
