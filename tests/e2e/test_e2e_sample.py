"""The sample goes to zero and back, a second platform is told why it cannot start, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from loadtest.local import CLOUDBASE, Platform, environment, platform


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("sampled"), ["--sample", "--log-format", "human"]) as running:
        running.until("the sample is ready", lambda: running.view("hello").get("ready"), 60)
        yield running


def listed(running: Platform, name: str) -> dict[str, object]:
    items = json.loads(running.cli("list", "-o", "json").stdout)["items"]
    return next(item for item in items if item["name"] == name)


def test_the_sample_says_which_runtime_it_has_and_prints_its_address_and_a_curl_line(sampled: Platform) -> None:
    host, port = sampled.listen
    sampled.until("the address is printed", lambda: f"curl http://{host}:{port}/fn/hello" in sampled.log.read_text())
    assert re.search(r"hello: runs on (Node|Python)", sampled.log.read_text())
    answer = sampled.call("hello", "/?name=you")
    assert (answer.status, answer.body) == (200, b"Hello, you!\n")  # type: ignore[attr-defined]


def test_silence_takes_it_to_zero_within_thirty_seconds_and_the_next_request_brings_it_back(sampled: Platform) -> None:
    sampled.call("hello")
    assert listed(sampled, "hello")["replicas"] == 1
    silent = time.monotonic()
    sampled.until("no replica is listed", lambda: listed(sampled, "hello")["replicas"] == 0)
    sampled.until("no child is left", lambda: sampled.children() == [], 30 - (time.monotonic() - silent))

    answer = sampled.call("hello")

    assert (answer.status, answer.body) == (200, b"Hello, world!\n")  # type: ignore[attr-defined]
    parts = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"]))
    assert {"wake", "start", "connect"} <= set(parts)
    assert 0 < sum(map(float, parts.values())) < 10_000  # milliseconds
    assert sampled.call("hello").headers["Server-Timing"] is None  # warm: nothing to tell


def test_a_second_platform_beside_it_says_that_the_port_is_taken_by_whom_and_how_to_choose_another(sampled: Platform) -> None:
    listen, admin = (f"{host}:{port}" for host, port in (sampled.listen, sampled.admin))
    command = [*CLOUDBASE, "dev", "--sample", "--listen", listen, "--admin", admin, "--data", str(sampled.data)]

    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=30)

    assert done.returncode == 7
    assert f"{listen} is taken by pid {sampled.process.pid} (" in done.stderr
    instead = re.search(r"`cloudbase (dev --listen \S+ --admin \S+ --data \S+)`", done.stderr)
    assert instead, done.stderr
    second = subprocess.Popen(
        [*CLOUDBASE, *instead[1].split()], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(1.5)
    finally:
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=20)


def test_ctrl_c_ends_it_with_0_and_every_child(sampled: Platform) -> None:
    sampled.call("hello")
    assert sampled.children()
    assert sampled.stop(signal.SIGINT) == 0, sampled.said()
    assert sampled.children() == []
    host, port = sampled.admin  # told, since another platform may be at the usual one
    assert sampled.cli("list", "--admin", f"{host}:{port}", ok=False).returncode == 3
