"""The pure and the small parts under the local builder and deployer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.local.entry import entry_file
from controller.local.failures import BuildFailed, explain
from controller.local.lines import LONGEST, LineSplitter
from controller.local.logfile import LogFolder
from controller.local.restart import FORGIVEN, LONGEST_PAUSE, LOOP, Crashes
from controller.ports import LogLine


def lay_down(folder: Path, *names: str, **contents: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    for name, text in contents.items():
        (folder / name.replace("_json", ".json")).write_text(text)
    return folder


# When a replica is started again


def test_the_first_restart_is_immediate_and_the_pauses_double_up_to_a_bound() -> None:
    crashes, pauses = Crashes(), []
    for _ in range(14):
        crashes = crashes.after(ran=0.0)
        pauses.append(crashes.pause)

    assert pauses[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


def test_a_replica_that_ran_for_a_while_starts_with_a_clean_record() -> None:
    crashes = Crashes(10).after(ran=FORGIVEN)

    assert crashes.pause == 0.0
    assert not crashes.loop


@given(st.lists(st.floats(0.0, FORGIVEN, exclude_max=True), min_size=1, max_size=50))
def test_a_crash_loop_is_exactly_a_row_of_short_lives(lives: list[float]) -> None:
    crashes = Crashes()
    for ran in lives:
        crashes = crashes.after(ran)

    assert crashes.count == len(lives)
    assert crashes.loop == (len(lives) >= LOOP)


# Lines


@given(st.lists(st.binary(max_size=40)), st.binary(max_size=10))
def test_lines_are_the_same_however_the_bytes_are_cut(pieces: list[bytes], rest: bytes) -> None:
    whole = b"".join(pieces) + rest
    splitter = LineSplitter()

    lines = [line for piece in [*pieces, rest] for line in splitter.feed("stdout", piece)] + splitter.end("stdout")

    expected = whole.split(b"\n")
    expected = expected if expected[-1] else expected[:-1]
    assert lines == [line.removesuffix(b"\r").decode(errors="replace") for line in expected]


def test_a_line_without_end_is_cut_and_never_held_whole() -> None:
    splitter = LineSplitter()

    lines = [line for _ in range(10) for line in splitter.feed("stdout", b"x" * LONGEST)]

    assert len(lines) >= 9
    assert all(len(line) == LONGEST for line in lines)


def test_streams_do_not_run_into_each_other() -> None:
    splitter = LineSplitter()

    assert splitter.feed("stdout", b"to be ") == []
    assert splitter.feed("stderr", b"oh\n") == ["oh"]
    assert splitter.feed("stdout", b"or not\n") == ["to be or not"]


# Log files


def line(number: int, replica: str = "a") -> LogLine:
    return LogLine(f"2026-01-01T00:00:{number / 1000:09.6f}Z", replica, "stdout", f"line {number}")


def test_the_tail_goes_over_rotated_files_and_replicas_by_time(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path / "hello", file_bytes=500, files=3)
    for number in range(60):
        folder.append("ab"[number % 2], [line(number, "ab"[number % 2])])

    assert folder.tail(5) == [line(number, "ab"[number % 2]) for number in range(55, 60)]
    assert len(list((tmp_path / "hello").glob("a.log*"))) == 3
    assert folder.tail(0) == []
    assert folder.tail(2, "a") == [line(56, "a"), line(58, "a")]
    assert folder.tail(2, "../hello/a") == []


def test_the_tail_is_whole_right_after_a_rotation(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path / "hello", file_bytes=1)

    folder.append("a", [line(1)])

    assert not (tmp_path / "hello" / "a.log").exists()
    assert folder.tail(1) == [line(1)]


def test_files_are_bounded_in_size_and_number(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path / "hello", file_bytes=1000, files=2, replicas=3)
    for replica in "abcdef":
        for number in range(200):
            folder.append(replica, [line(number, replica)])

    files = list((tmp_path / "hello").iterdir())
    assert len({path.name.partition(".")[0] for path in files}) == 3
    assert len(files) <= 6 and all(path.stat().st_size < 1100 for path in files)


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=50))
def test_a_line_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = LogFolder(tmp_path_factory.mktemp("logs") / "hello")
    written = LogLine("2026-01-01T00:00:00.000000Z", "a", "stderr", text)

    folder.append("a", [written])

    assert folder.tail(10) == [written]


# Entries


@pytest.mark.parametrize(
    ("runtime", "entry", "names", "found"),
    [
        ("node", "", ["handler.js", "index.mjs"], "index.mjs"),
        ("node", "lib/x.js:run", ["lib/x.js"], "lib/x.js"),
        ("node", "$ ./serve", ["serve"], ""),
        ("python", "", ["app.py", "handler.py"], "handler.py"),
        ("python", "shop.web:app", ["shop/web.py"], "shop/web.py"),
        ("python", "shop:app", ["shop/__init__.py"], "shop/__init__.py"),
        ("python", "main.py:handle", ["main.py"], "main.py"),
    ],
)
def test_the_entry_is_found_by_the_rules_of_the_contract(
    tmp_path: Path, runtime: str, entry: str, names: list[str], found: str
) -> None:
    assert entry_file(lay_down(tmp_path, *names), runtime, entry) == found


@pytest.mark.parametrize(
    ("package", "found"),
    [
        ('{"main": "src/a"}', "src/a.js"),
        ('{"main": "src"}', "src/index.js"),
        ('{"main": "gone.js"}', "index.js"),
        ('{"scripts": {"start": "node src/a.js"}, "main": "index.js"}', "src/a.js"),
        ('{"scripts": {"start": "next start"}, "main": "index.js"}', ""),
        ('{"scripts": {"start": "node --inspect src/a.js"}}', ""),
    ],
)
def test_package_json_names_the_entry(tmp_path: Path, package: str, found: str) -> None:
    lay_down(tmp_path, "index.js", "src/a.js", "src/index.js", package_json=package)

    assert entry_file(tmp_path, "node", "") == found


@pytest.mark.parametrize("entry", ["../secret.js", "/etc/passwd", "gone.js", "lib"])
def test_an_entry_outside_the_source_or_missing_is_refused(tmp_path: Path, entry: str) -> None:
    app = tmp_path / "app"
    lay_down(app, "lib/x.js")
    (tmp_path / "secret.js").write_text("")

    with pytest.raises(BuildFailed, match=r'the entry ".*" is not in the source; it has lib'):
        entry_file(app, "node", entry)


# Failures in words


@pytest.mark.parametrize(
    ("step", "written", "reason", "message"),
    [
        ("npm ci", "npm error code ENOTFOUND", "RegistryUnavailable", "the package registry could not be reached"),
        ("npm ci", "npm ERR! code E503", "RegistryUnavailable", "the package registry could not be reached"),
        ("npm ci", "npm error code E401", "RegistryDenied", "the package registry wants other credentials"),
        ("npm ci", "npm error code EUSAGE", "DependencyFailed", "package-lock.json does not fit package.json"),
        ("npm ci", "npm ERR! 404  'no-such@1' is not in this registry.", "DependencyFailed", "there is no npm package no-such@1"),
        ("npm install", "npm error notarget No matching version found for a@^7.", "DependencyFailed", "no npm package a@^7"),
        (
            "pip install",
            "WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No matching distribution found for a",
            "RegistryUnavailable",
            "the package registry could not be reached",
        ),
        ("pip install", "ERROR: No matching distribution found for a==9", "DependencyFailed", "there is no Python package a==9"),
        ("pip install", "OSError: [Errno 28] No space left on device", "DiskFull", "the disk is full"),
        ("npm ci", "gyp ERR! build error", "DependencyFailed", "npm ci failed (exited with status 1): gyp ERR! build error"),
        ("npm ci", "", "DependencyFailed", "it wrote nothing"),
    ],
)
def test_what_a_tool_wrote_tells_why_it_failed(step: str, written: str, reason: str, message: str) -> None:
    failure = explain(step, "exited with status 1", written.splitlines())

    assert failure.reason == reason
    assert message in str(failure)
