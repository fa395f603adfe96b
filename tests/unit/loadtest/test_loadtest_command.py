"""The scenarios' command: its exit status tells pass, fail and why not; what it deployed goes, however it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.scenarios import __main__ as command
from loadtest.scenarios.outcome import Outcome
from loadtest.scenarios.target import Failed
from loadtest.scenarios.thresholds import Threshold

GOOD = Outcome(scenario="warm", requests=100, failures=0, seconds=10, p50=1, p95=2, p99=6, worst=9, peer={"nginx p99": 3.0})
ASKED = "[warm]\nabout = 'many'\nusers = 1\nseconds = 10\nfailures = 0\np99_of_nginx = 3.0\n"


class Target:
    """Notes what is deployed."""

    def __init__(self) -> None:
        self.there: set[str] = set()

    def deploy(self, functions: Mapping[str, object]) -> None:
        self.there |= set(functions)

    def delete(self, names: Sequence[str]) -> None:
        self.there -= set(names)


class Stage:
    """Plays by heart."""

    def __init__(self, *found: Outcome | BaseException | signal.Signals) -> None:
        self.target = Target()
        self._found = iter(found)

    def play(self, name: str, threshold: Threshold) -> Outcome:
        assert self.target.there == {"hello"}
        found = next(self._found)
        if isinstance(found, signal.Signals):
            os.kill(os.getpid(), found)
            raise AssertionError("the signal was not noticed")
        if isinstance(found, BaseException):
            raise found
        return found


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "asked.toml").write_text(ASKED)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, stage: Stage, *more: str) -> int:
    @contextmanager
    def staged(args: Any) -> Iterator[Stage]:
        yield stage

    monkeypatch.setattr(command, "staged", staged)
    options = ["--thresholds", str(folder / "asked.toml"), "--results", str(folder / "now")]
    return command.main([*more, *options])


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (GOOD, 0),
        (msgspec.structs.replace(GOOD, failures=1), 1),
        (msgspec.structs.replace(GOOD, p99=9.1), 1),
        (Failed("no such thing"), 2),
        (signal.SIGINT, 130),
        (signal.SIGTERM, 130),
    ],
)
def test_the_exit_status_tells_how_it_went_and_nothing_stays_deployed(
    monkeypatch: pytest.MonkeyPatch, folder: Path, found: Any, status: int
) -> None:
    stage = Stage(found)
    assert run(monkeypatch, folder, stage) == status
    assert not stage.target.there
    assert (folder / "now/outcomes.json").exists() is (status < 2)


def test_a_run_is_compared_with_an_earlier_one(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = folder / "before"
    earlier.mkdir()
    (earlier / "outcomes.json").write_bytes(msgspec.json.encode({"warm": msgspec.structs.replace(GOOD, p99=4)}))
    assert run(monkeypatch, folder, Stage(GOOD), "--compare", str(earlier)) == 0
    assert "+50%" in capsys.readouterr().out
    assert "warm,p99 ms,4.000,6.000,+50%" in (folder / "now/comparison.csv").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["cold"], "asked.toml: it has no section [cold]"),
        (["--compare", "nowhere"], "nowhere holds no results of an earlier run"),
        (["--thresholds", "nowhere.toml"], "nowhere.toml: "),
        (["--results", "/dev/null/results"], "results cannot be written to /dev/null/results"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_is_deployed(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    def staged(args: Any) -> Any:
        raise AssertionError("too late")

    monkeypatch.setattr(command, "staged", staged)
    assert command.main(["--thresholds", str(folder / "asked.toml"), "--results", str(folder / "now"), *more]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["warmer"], "invalid choice: 'warmer'"),
        (["--context", "prod", "--url", "http://router"], "--context needs --namespace"),
        (["--namespace", "shop"], "they need --url"),
        (["--swarm", "http://locust:8089"], "they need --url"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
