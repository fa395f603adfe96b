"""The commands against the management API's contract: what they send, what they print, and how they end."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import httpx2
import pytest

from cloudbase.cli import LazyGroup
from tests.unit.cloudbase.fake_management_api import FakeApi, Run, problem, view

NODE = {"runtime": "node", "scaling": {"min": 0, "max": 10}}


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


@pytest.mark.parametrize("name", LazyGroup.commands_known)
def test_the_groups_help_says_of_each_command_what_the_command_says_of_itself(name: str) -> None:
    module, line = LazyGroup.commands_known[name]
    command = import_module(f"cloudbase.commands.{module}").command
    assert isinstance(command, click.Command)
    assert (command.name, command.get_short_help_str(200)) == (name, line)


def test_help_needs_neither_an_http_client_nor_rich_nor_a_server() -> None:
    import subprocess
    import sys

    program = (
        "import sys\nfrom cloudbase.cli import main\nmain(['--help'], standalone_mode=False)\n"
        "print([name for name in ('httpx2', 'rich', 'starlette', 'uvicorn', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_deploy_sends_the_folder_and_its_settings_and_prints_the_address(run: Run, api: FakeApi, home: Path) -> None:
    write(home / "hello", index__js="x", cloudbase__toml='runtime = "node"\ntimeout = 5\n[env]\nA = "file"\nB = "file"\n')
    done = run("deploy", "hello", "--env", "A=flag", "--max", "3")
    assert (done.exit_code, done.stdout) == (0, "http://127.0.0.1:8080/fn/hello\n")
    assert done.stderr == "Sending 2 files, 58 bytes, as hello\nBuilt: in 0.1 s\nCreated hello: ready\n"
    assert api.views["hello"]["spec"] == {
        "runtime": "node", "timeout": 5, "env": {"A": "flag", "B": "file"}, "scaling": {"max": 3},
    }  # fmt: skip
    assert sorted(api.sources["hello"]) == ["cloudbase.toml", "index.js"]


def test_deploy_takes_the_name_from_the_flag_before_the_file_before_the_folder(run: Run, api: FakeApi, home: Path) -> None:
    folder = write(home / "My_Function", handler__py="x")
    run("deploy", str(folder))
    write(folder, cloudbase__toml='name = "stated"')
    run("deploy", str(folder))
    run("deploy", str(folder), "--name", "flag")
    assert sorted(api.views) == ["flag", "my-function", "stated"]


def test_deploy_says_updated_when_the_function_was_there(run: Run, home: Path) -> None:
    write(home, handler__py="x")
    run("deploy", "--name", "f")
    assert "Updated f: ready" in run("deploy", "--name", "f").stderr


def test_deploy_without_waiting_reads_no_events(run: Run, api: FakeApi, home: Path) -> None:
    write(home, handler__py="x")
    assert run("deploy", "--name", "f", "--no-wait").exit_code == 0
    assert [request.method for request in api.seen] == ["PUT"]


def test_a_deployment_that_fails_ends_with_1_and_the_reason(run: Run, api: FakeApi, home: Path) -> None:
    write(home, handler__py="def")
    conditions = [
        {"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "not built"},
        {"type": "Built", "status": "False", "reason": "SyntaxError", "message": "handler.py:1: invalid syntax"},
    ]
    api.outcome = {"ready": False, "reason": "BuildFailed", "status": {"conditions": conditions}}
    done = run("deploy", "--name", "f")
    assert done.exit_code == 1
    assert (
        "Error: f did not become ready: SyntaxError: handler.py:1: invalid syntax\nNext: mend that and deploy again\n"
        in done.stderr
    )


def test_a_spec_that_is_refused_ends_with_4_and_every_wrong_field(run: Run, api: FakeApi, home: Path) -> None:
    write(home, handler__py="x")
    errors = [
        {"field": "runtime", "message": 'there is no runtime "rust"'},
        {"field": "scaling.max", "message": "from 1"},
    ]
    api.refusal = problem(422, "The function cannot be accepted.", errors=errors)
    done = run("deploy", "--runtime", "rust", "--name", "f")
    assert done.exit_code == 4
    assert done.stderr.endswith('accepted.\n  runtime: there is no runtime "rust"\n  scaling.max: from 1\n')
    api.refusal = problem(422, 'runtime: there is no runtime "rust"; scaling.max: from 1', errors=errors)
    told = run("deploy", "--runtime", "rust", "--name", "f").stderr
    assert told.endswith('Error: 2 fields are wrong:\n  runtime: there is no runtime "rust"\n  scaling.max: from 1\n')
    api.refusal = problem(422, "scaling.max: from 1", errors=errors[1:])
    assert run("deploy", "--runtime", "rust", "--name", "f").stderr.endswith("Error: scaling.max: from 1\n")


@pytest.mark.parametrize(
    ("files", "arguments", "said"),
    [
        ({}, [], "no file that tells the runtime"),
        ({"a__js": "", "b__py": ""}, [], "files of both runtimes"),
        ({}, ["--runtime", "node"], "there is nothing to deploy in f"),
        ({"a__js": "", "cloudbase__toml": "runtime ="}, [], "cannot read f/cloudbase.toml: Invalid value (at end of document)"),
        ({"a__js": "", "cloudbase__toml": 'env = "no"'}, ["-e", "A=1"], "env must be a table"),
        ({"a__js": ""}, ["-e", "A"], "--env 'A' is not NAME=VALUE"),
        ({"a__js": ""}, ["-e", "=A"], "--env '=A' is not NAME=VALUE"),
    ],
)
def test_what_makes_no_sense_ends_with_2_before_anything_is_sent(
    run: Run, api: FakeApi, home: Path, files: dict[str, str], arguments: list[str], said: str
) -> None:
    write(home / "f", **files)
    done = run("deploy", "f", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert api.seen == []


def test_deploying_what_is_no_folder_says_so(run: Run, home: Path) -> None:
    hint = "give the function's folder; `cloudbase update NAME` changes settings without it"
    done = run("deploy", "nowhere", "--runtime", "node")
    assert (done.exit_code, done.stderr) == (2, f"Error: nowhere is not there\nNext: {hint}\n")
    write(home / "f", index__js="")
    done = run("deploy", "f/index.js")
    assert (done.exit_code, done.stderr) == (2, "Error: f/index.js is a file, not a folder\nNext: give the function's folder\n")


def test_a_command_that_is_mistyped_is_told_with_the_nearest_that_there_is(run: Run) -> None:
    done = run("depoly")
    assert (done.exit_code, "No such command 'depoly'. Did you mean 'deploy'?" in done.stderr) == (2, True)
    assert "Did you mean" not in run("xyzzy").stderr


def test_list_prints_items_as_json(run: Run, api: FakeApi) -> None:
    api.views["hello"] = view("hello", NODE)
    done = run("list", "-o", "json")
    assert [(item["name"], item["replicas"]) for item in json.loads(done.stdout)["items"]] == [("hello", 1)]


def test_list_outside_a_terminal_is_plain_and_aligned(run: Run, api: FakeApi) -> None:
    api.views["hello"] = view("hello", NODE) | {"createdAt": ""}
    api.views["a"] = view("a", NODE) | {"ready": False, "replicas": 0, "createdAt": ""}
    assert run("list").stdout.splitlines() == [
        "NAME    STATE       RUNTIME   REPLICAS   AGE   ADDRESS",
        "a       Deploying   node      0                http://127.0.0.1:8080/fn/a",
        "hello   Ready       node      1                http://127.0.0.1:8080/fn/hello",
    ]


def test_an_empty_list_says_how_to_begin(run: Run) -> None:
    done = run("list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "cloudbase init" in done.stderr


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ({"artifact": "x@sha256:a", "seconds": 12.5, "commit": "c0ffee"}, "done in 12.5 s, commit c0ffee"),
        ({"artifact": "x@sha256:a", "seconds": 0.0, "cached": True}, "found done in 0 s"),
        ({"seconds": 3.1, "failure": {"reason": "SyntaxError"}}, "failed, SyntaxError in 3.1 s"),
    ],
)
def test_describe_shows_what_was_built_of_what(run: Run, api: FakeApi, build: dict[str, Any], said: str) -> None:
    git = {"url": "https://git.example.com/shop", "ref": "main", "path": "cart"}
    api.views["shop"] = view("shop", {"runtime": "node", "git": git})
    api.views["shop"]["status"]["build"] = build
    facts = dict(line.split(":", 1) for line in run("describe", "shop").stdout.splitlines() if ":" in line)
    assert (facts["Source"].strip(), facts["Built"].strip()) == ("https://git.example.com/shop ref main path cart", said)


def test_describe_shows_settings_and_conditions(run: Run, api: FakeApi) -> None:
    api.views["hello"] = view("hello", NODE | {"env": {"A": "1"}})
    api.views["hello"]["status"]["conditions"] = [{"type": "Built", "status": "True", "message": "cached"}]
    out = run("describe", "hello").stdout
    assert "Env A:" in out
    assert "hello-00001 (generation 1)" in out
    assert "Built       True" in out


def test_an_unknown_function_ends_with_5(run: Run) -> None:
    done = run("describe", "nobody")
    assert done.exit_code == 5
    assert done.stderr == 'Error: There is no function "nobody".\nNext: `cloudbase list` shows what there is\n'


@pytest.mark.parametrize("name", ["a/b", "..", ""])
def test_a_name_that_would_be_another_path_is_never_sent(run: Run, api: FakeApi, name: str) -> None:
    assert run("describe", name).exit_code == 2
    assert api.seen == []


def test_a_wrong_token_ends_with_4_and_says_where_the_right_one_is(run: Run) -> None:
    done = run("list", "--token", "wrong")
    assert done.exit_code == 4
    assert ".cloudbase/token" in done.stderr


def test_logs_prints_lines_and_json_lines(run: Run, api: FakeApi) -> None:
    api.views["f"] = view("f", NODE)
    api.lines = [{"time": "t", "replica": "f-1", "stream": "stdout", "line": "one"}]
    assert run("logs", "f").stdout == "one\n"
    assert run("logs", "f", "-t").stdout == "t f-1 one\n"
    assert json.loads(run("logs", "f", "-o", "json").stdout) == api.lines[0]


def test_logs_asks_for_what_it_was_told(run: Run, api: FakeApi) -> None:
    api.views["f"] = view("f", NODE)
    done = run("logs", "f", "-f", "--tail", "7", "--replica", "f-1")
    assert "the log has ended" in done.stderr  # it does so when the platform stops, which is not Ctrl-C
    assert dict(api.seen[-1].url.params) == {"follow": "1", "tail": "7", "replica": "f-1"}


def test_logs_of_a_replica_that_is_not_there_ends_with_5_and_says_how_to_find_one(run: Run, api: FakeApi) -> None:
    detail = 'function "f" has no replica "f-9": there is f-1'
    api.refusal = problem(404, detail, type="urn:cloudbase:problem:no-such-replica")
    done = run("logs", "f", "--replica", "f-9")
    assert (done.exit_code, done.stdout) == (5, "")
    assert detail in done.stderr and "cloudbase logs NAME -t" in done.stderr


def test_delete_outside_a_terminal_wants_yes(run: Run, api: FakeApi) -> None:
    api.views["f"] = view("f", NODE)
    refused = run("delete", "f")
    assert (refused.exit_code, list(api.views)) == (2, ["f"])
    assert "cloudbase delete f --yes" in refused.stderr
    assert (run("delete", "f", "--yes").exit_code, list(api.views)) == (0, [])


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, ["f"]), ("", 130, ["f"]), ("y\n", 0, [])])
def test_delete_in_a_terminal_asks_and_ctrl_c_at_the_question_is_told_from_a_no(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: list[str]
) -> None:
    api.views["f"] = view("f", NODE)
    monkeypatch.setattr("cloudbase.commands.delete.asks", lambda: True)
    assert (run("delete", "f", stdin=answer).exit_code, list(api.views)) == (code, left)  # the end of input is as Ctrl-C


def test_in_a_narrow_terminal_a_line_with_an_address_is_left_whole(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    import io

    from cloudbase.output import table

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    table(("Name", "Address"), [("a-name", "http://127.0.0.1:8080/fn/a-name")], whole=True)
    assert terminal.getvalue().splitlines()[1] == "a-name   http://127.0.0.1:8080/fn/a-name"
    monkeypatch.setenv("COLUMNS", "80")
    table(("Name", "Address"), [("a-name", "http://127.0.0.1:8080/fn/a-name")], whole=True)
    assert "──" in terminal.getvalue()


def test_what_cannot_be_sent_to_a_function_is_wrong_usage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise httpx2.LocalProtocolError("Illegal method characters")  # what it says once it is connected

    monkeypatch.setattr(httpx2.Client, "request", refuse)
    done = run("invoke", "f", "-X", "G ET")
    assert (done.exit_code, "this cannot be sent" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("runtime", ["node", "python"])
def test_what_init_writes_can_be_deployed(run: Run, api: FakeApi, home: Path, runtime: str) -> None:
    done = run("init", "--runtime", runtime, "First Try")
    assert (done.exit_code, done.stdout) == (0, "cloudbase deploy 'First Try'\n")
    assert run("deploy", "First Try").exit_code == 0
    assert api.views["first-try"]["spec"]["runtime"] == runtime


def test_init_overwrites_nothing(run: Run, home: Path) -> None:
    write(home / "f", handler__py="mine")
    done = run("init", "--runtime", "python", "f")
    assert done.exit_code == 2
    assert "f/handler.py is there already" in done.stderr
    assert [path.name for path in (home / "f").iterdir()] == ["handler.py"]


def test_a_platform_that_is_away_is_told_with_the_command_that_starts_it(home: Path) -> None:
    from click.testing import CliRunner

    from cloudbase.cli import main

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    done = CliRunner().invoke(main, ["list"], obj=httpx2.MockTransport(refuse))
    assert done.exit_code == 3
    assert done.stderr == "Error: no platform at 127.0.0.1:8081\nNext: start one with `cloudbase dev`\n"


def test_something_else_on_the_port_is_told_as_such(run: Run, api: FakeApi) -> None:
    api.refusal = httpx2.Response(200, text="<html>")
    done = run("list")
    assert done.exit_code == 1
    assert "127.0.0.1:8081 does not answer as a platform does" in done.stderr
