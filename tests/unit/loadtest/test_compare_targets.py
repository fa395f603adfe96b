"""The comparison's targets: where they listen, what is written for them, whom a family of processes includes."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.compare import peers, place, proc
from loadtest.compare.cli import main, names_of
from loadtest.compare.peers import DEFAULT_PEERS, PEERS

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(peers, "HOME", tmp_path)
    monkeypatch.setattr("loadtest.compare.service.HOME", tmp_path)
    return tmp_path


def test_every_target_has_a_port_of_its_own_whatever_is_left_out() -> None:
    few = {target.name: target.port for target in peers.targets(["relay", "go"], ["router"])}
    every = {target.name: target.port for target in peers.targets(list(PEERS), ["router"])}

    assert list(few) == ["router", "relay", "go"]
    assert few.items() <= every.items()
    assert len(set(every.values()) | {place.PORT}) == len(PEERS) + 2


def test_the_router_is_told_where_to_listen_and_where_to_forward_to() -> None:
    (router,) = peers.targets([], ["run-it", "--now"])

    assert router.command == ["run-it", "--now"]
    assert router.env["BENCH_LISTEN"] == f"127.0.0.1:{router.port}"
    assert router.env["BENCH_UPSTREAM"] == place.UPSTREAM


def test_the_plain_build_of_the_router_can_be_measured_beside_the_one_that_starts_by_itself() -> None:
    router, plain, many, relay = peers.targets(["relay"], ["run-it"], plain=True, routes=7)

    assert (router.name, plain.name, many.name) == ("router", "plain", "many routes")
    assert many.env["BENCH_ROUTES"] == "7"
    assert "CLOUDBASE_PLAIN" not in router.env or router.env["CLOUDBASE_PLAIN"] == os.environ["CLOUDBASE_PLAIN"]
    assert plain.env["CLOUDBASE_PLAIN"] == "1"
    assert len({router.port, plain.port, many.port, relay.port, place.PORT}) == 5


def test_the_report_tells_what_each_router_said_of_its_build() -> None:
    services = peers.targets(["relay"], ["run-it"], plain=True)
    for service, said in zip(
        services, ("launch\nCPython 3.13.5, compiled\nlistening\n", "nothing\n", "CPython 1, x\n"), strict=True
    ):
        service.log.parent.mkdir(exist_ok=True)
        service.log.write_text(said)

    assert peers.builds(services) == {"router": "CPython 3.13.5, compiled"}


@pytest.mark.parametrize("name", PEERS)
def test_nothing_is_left_to_fill_in_in_what_a_peer_is_started_with(name: str, home: Path) -> None:
    (target,) = peers.targets([name], [])

    written = [path.read_text() for path in (home / "run" / name).iterdir()]
    assert not re.search(r"@[A-Z_]+@", " ".join([*target.command, *written]))
    named = [word.removeprefix("--configFile=") for word in target.command if word.startswith(str(home)) or "configFile" in word]
    assert all(Path(path).exists() for path in named)


def test_the_default_peers_are_known_and_unknown_ones_are_refused_by_name() -> None:
    parse = names_of(list(PEERS))

    assert parse(DEFAULT_PEERS)
    assert parse("") == []
    assert parse("go,go,nginx") == ["go", "nginx"]
    with pytest.raises(argparse.ArgumentTypeError, match=r"ngix\? choose from go, "):
        parse("ngix")


@linux
def test_a_run_of_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--peers", ""]) == 2

    assert "nothing to measure" in capsys.readouterr().err


@linux
def test_a_family_holds_the_children_of_children_and_their_cpu_and_memory_count() -> None:
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"1\n"

        family = proc.family(os.getpid())
        below = [pid for pid in family if int(proc.stat(pid)[1]) == child.pid]

        assert child.pid in family
        assert below
        assert proc.rss_mib(below) > 1
        assert proc.cpu_seconds([os.getpid()]) > 0
        child.communicate(b"\n")


def test_a_process_that_is_gone_counts_nothing() -> None:
    assert proc.stat(2**30) == []
    assert proc.cpu_seconds([2**30]) == 0
    assert proc.rss_mib([2**30]) == 0
