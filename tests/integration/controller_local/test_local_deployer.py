"""The local deployer with real processes: small Python programs that speak the runtime contract's ready line."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from local_world import deployed, eventually, get, make_function, ready, texts_of, until

from controller.local.deployer import LocalDeployer
from controller.local.launch import Launch, inherited
from controller.model import Function, FunctionSpec, Resources
from controller.ports import LogLine, Replica

# Serves its pid on its socket; `{}` is run first. Ends at SIGTERM, or with its starter.
SERVER = """
import json, os, signal, socket, sys, threading, time
def tell(**line):
    os.write(int(os.environ["CLOUDBASE_READY_FD"]), (json.dumps(line) + chr(10)).encode())
    os.close(int(os.environ["CLOUDBASE_READY_FD"]))
{}
path = os.environ["CLOUDBASE_SOCKET"]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
tell(listening="unix:" + path)
while True:
    peer, _ = server.accept()
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n%d" % os.getpid())
    peer.close()
"""
HELLO = Function(name="hello", spec=FunctionSpec(runtime="python"))


def program(script: str = "", whole: str = "") -> dict[str, object]:
    """Options of a deployer that runs the server above, or another whole program, in place of a runtime."""

    def launcher(function: Function, revision: str, app: Path, env: Mapping[str, str]) -> Launch:
        own = {**inherited(env), **function.spec.env, "CLOUDBASE_REVISION": revision}
        return Launch((sys.executable, "-S", "-c", whole or SERVER.replace("{}", script)), own, Path("/"))

    return {"launcher": launcher}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes() if Path("/proc").exists() else True


async def scale(deployer: LocalDeployer, replicas: int, leaving: tuple[str, ...] = ()) -> None:
    await deployer.ensure(HELLO, "hello-00001", "", replicas, leaving)


def test_as_many_replicas_run_as_were_asked_for_and_the_named_ones_leave(data: Path) -> None:
    async def scenario() -> None:
        async with deployed(data, **program()) as deployer:
            await scale(deployer, 3)
            three = await until(deployer, ready(3))
            pids = {replica.name: int(await get(replica.address)) for replica in three}
            assert len(set(pids.values())) == 3

            await scale(deployer, 1, leaving=(three[0].name, three[2].name))
            one = await until(deployer, ready(1))
            assert [replica.name for replica in one] == [three[1].name]
            assert [alive(pid) for pid in pids.values()] == [False, True, False]

            await deployer.retire(HELLO, "hello-00001")
            assert deployer.observe("default", "hello") == []
            assert not alive(pids[three[1].name])
        assert list((data / "run").rglob("*.sock")) == []

    asyncio.run(scenario())


def test_those_not_ready_leave_first_and_then_the_youngest(data: Path) -> None:
    async def scenario() -> None:
        # the second process never says that it listens
        slow = f"open({str(data / 'n')!r}, 'a').write('x')\nif os.path.getsize({str(data / 'n')!r}) == 2: time.sleep(60)"
        async with deployed(data, **program(slow)) as deployer:
            await scale(deployer, 1)
            first = (await until(deployer, ready(1)))[0]
            await scale(deployer, 2)
            await eventually(lambda: (data / "n").stat().st_size == 2)
            await scale(deployer, 3)
            await until(deployer, lambda replicas: sum(replica.ready for replica in replicas) == 2)

            await scale(deployer, 2)
            two = await until(deployer, ready(2))
            await scale(deployer, 1)
            one = await until(deployer, ready(1))

            assert first in two
            assert one == [first]

    asyncio.run(scenario())


def test_a_replica_is_reported_as_stopping_before_its_process_gets_sigterm(data: Path) -> None:
    async def scenario() -> None:
        async with deployed(
            data, **program("signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), os._exit(0)))")
        ) as deployer:
            await scale(deployer, 1)
            replica = (await until(deployer, ready(1)))[0]
            pid = int(await get(replica.address))
            seen: list[tuple[Replica, bool]] = []
            deployer.watch(lambda project, name: seen.extend((each, alive(pid)) for each in deployer.observe(project, name)))

            await scale(deployer, 0)

            (told, lived), *_ = seen
            assert told.stopping and not told.ready and lived
            await until(deployer, lambda replicas: not replicas)
            assert await texts_of(deployer) == ["bye"]

    asyncio.run(scenario())


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_with_all_that_it_started(data: Path) -> None:
    async def scenario() -> None:
        stubborn = (
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '600'), flush=True)"
        )
        async with deployed(data, grace=0.3, **program(stubborn)) as deployer:
            await scale(deployer, 1)
            replica = (await until(deployer, ready(1)))[0]
            pid, grandchild = int(await get(replica.address)), int((await texts_of(deployer))[0])

            began = time.monotonic()
            await deployer.retire(HELLO, "hello-00001")

            assert 0.3 <= time.monotonic() - began < 3
            assert not alive(pid)
            await eventually(lambda: not alive(grandchild))

    asyncio.run(scenario())


def test_a_killed_process_is_noticed_and_replaced_at_once(data: Path) -> None:
    async def scenario() -> None:
        async with deployed(data, **program()) as deployer:
            await scale(deployer, 1)
            before = (await until(deployer, ready(1)))[0]
            pid = int(await get(before.address))

            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            down = (await until(deployer, lambda replicas: not replicas[0].ready))[0]
            noticed = time.monotonic() - began
            after = (await until(deployer, ready(1)))[0]

            assert noticed < 0.25
            assert down.message == "killed by SIGKILL" and not down.crash_loop and not down.address
            assert after.name == before.name and after.restarts == 1 and after.address != before.address
            assert int(await get(after.address)) != pid

    asyncio.run(scenario())


def test_a_crash_loop_is_told_with_the_last_words_and_slows_down(data: Path) -> None:
    async def scenario() -> None:
        async with deployed(data, **program("print('no database', file=sys.stderr); sys.exit(3)")) as deployer:
            await scale(deployer, 1)
            looping = (await until(deployer, lambda replicas: replicas[0].crash_loop))[0]

            assert looping.message == "exited with status 3: no database (3 times in a row, next start in 0.2 s)"
            assert looping.restarts == 3
            began = time.monotonic()
            await until(deployer, lambda replicas: replicas[0].restarts == 5)
            assert time.monotonic() - began >= 0.2 + 0.4
            await scale(deployer, 0)  # and one in its pause goes at once
            await until(deployer, lambda replicas: not replicas, seconds=2)

    asyncio.run(scenario())


def test_what_a_starting_process_says_of_its_failure_is_the_message(data: Path) -> None:
    failing = "tell(failed='SyntaxError', message='main.py:3: invalid syntax'); sys.exit(81)"

    async def scenario() -> Replica:
        async with deployed(data, **program(failing)) as deployer:
            await scale(deployer, 1)
            return (await until(deployer, lambda replicas: replicas[0].restarts == 1))[0]

    assert asyncio.run(scenario()).message == "exited with status 81: SyntaxError: main.py:3: invalid syntax"


def test_a_process_that_never_listens_is_ended_and_told(data: Path) -> None:
    async def scenario() -> Replica:
        async with deployed(data, start_timeout=0.3, **program("time.sleep(600)")) as deployer:
            await scale(deployer, 1)
            return (await until(deployer, lambda replicas: replicas[0].restarts == 1))[0]

    assert asyncio.run(scenario()).message == "did not tell within 0.3 s that it listens"


def test_a_program_that_listens_by_itself_is_ready_when_it_accepts(data: Path) -> None:
    by_itself = """
import os, json, time, http.server
os.write(int(os.environ["CLOUDBASE_READY_FD"]), json.dumps({"probe": "127.0.0.1:" + os.environ["PORT"]}).encode() + b"\\n")
time.sleep(0.3)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""

    async def scenario() -> None:
        async with deployed(data, **program(whole=by_itself)) as deployer:
            await scale(deployer, 1)
            began = time.monotonic()
            replica = (await until(deployer, ready(1)))[0]
            assert time.monotonic() - began >= 0.3
            assert replica.address.startswith("127.0.0.1:")
            assert "Directory listing" in await get(replica.address)

    asyncio.run(scenario())


def test_logs_are_kept_over_restarts_and_followed_without_gap_or_repetition(data: Path) -> None:
    counting = """
print('half a line', end='', file=sys.stderr, flush=True)
def count():
    for number in range(2000):
        print(number, flush=number % 7 == 0)
    sys.stdout.flush()
threading.Thread(target=count).start()
"""

    async def scenario() -> None:
        async with deployed(data, **program(counting)) as deployer:
            await scale(deployer, 1)
            numbers: list[int] = []
            async with asyncio.timeout(60):
                async for line in deployer.logs("default", "hello", 100_000, True):
                    numbers.append(int(line.line))
                    if numbers[-1] == 1999:
                        break
            assert numbers == list(range(2000))
            await scale(deployer, 0)
            await until(deployer, lambda replicas: not replicas)
        async with deployed(data, **program()) as again:
            lines = [line async for line in again.logs("default", "hello", 2, False)]
            assert [(line.stream, line.line) for line in lines] == [("stdout", "1999"), ("stderr", "half a line")]
            assert lines[0].replica.startswith("hello-00001-") and lines[0].time.endswith("Z")

    asyncio.run(scenario())


def test_a_flood_of_lines_holds_neither_the_loop_nor_memory_nor_the_disk(data: Path) -> None:
    flood = "line = 'x' * 999 + chr(10)\nfor _ in range(30_000): sys.stdout.write(line)\nprint('end', flush=True)"

    async def scenario() -> None:
        late = 0.0
        async with deployed(data, **program(flood)) as deployer:
            await scale(deployer, 1)
            async with asyncio.timeout(100):
                while not [replica for replica in deployer.observe("default", "hello") if replica.ready]:
                    began = time.monotonic()
                    await asyncio.sleep(0.005)
                    late = max(late, time.monotonic() - began - 0.005)
            assert (await texts_of(deployer, 1)) == ["end"]
        assert late < 0.25
        assert sum(path.stat().st_size for path in (data / "logs").rglob("*.log*")) < 5 << 20

    asyncio.run(scenario())


def test_a_replica_beyond_its_memory_is_ended_and_told(data: Path) -> None:
    small = Function(name="hello", spec=FunctionSpec(runtime="python", resources=Resources(memory="60Mi")))
    greedy = "threading.Timer(0.2, lambda: (globals().update(hold=b'x' * (100 << 20)), time.sleep(60))).start()"

    async def scenario() -> Replica:
        async with deployed(data, **program(greedy)) as deployer:
            await deployer.ensure(small, "hello-00001", "", 1)
            return (await until(deployer, lambda replicas: replicas[0].restarts == 1))[0]

    message = asyncio.run(scenario()).message
    found = re.fullmatch(r"used (\d+) MiB of memory, 60 MiB are its limit: raise resources.memory or find the leak", message)
    assert found and int(found[1]) >= 60


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a limit below one CPU cannot be told from a busy machine")
def test_a_replica_gets_no_more_cpu_time_than_its_limit(data: Path) -> None:
    busy = Function(name="hello", spec=FunctionSpec(runtime="python", resources=Resources(cpu="200m")))
    burning = "threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()"

    def used(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime of proc(5)

    async def scenario() -> tuple[float, Path]:
        async with deployed(data, **program(burning)) as deployer:
            if deployer._cpu is None:
                pytest.skip("cgroups cannot be made here")
            await deployer.ensure(busy, "hello-00001", "", 1)
            replica = (await until(deployer, ready(1)))[0]
            pid = int(await get(replica.address))
            group = deployer._cpu.folder
            members = group / replica.name / "cgroup.procs"
            await eventually(lambda: members.exists() and str(pid) in members.read_text().split())
            before = used(pid)
            await asyncio.sleep(1.0)
            return used(pid) - before, group

    share, group = asyncio.run(scenario())
    assert 0.05 < share < 0.4
    assert not group.exists()


def test_a_function_sees_its_own_variables_and_none_of_the_platforms_secrets(data: Path) -> None:
    function = make_function(data, {}, env={"GREETING": "hi", "CLOUDBASE_REVISION": "faked"})

    async def scenario() -> list[str]:
        async with deployed(
            data, **program("print(*os.environ, os.environ['GREETING'], os.environ['CLOUDBASE_REVISION'], flush=True)")
        ) as deployer:
            deployer._env["SECRET_TOKEN"] = "s3cret"
            await deployer.ensure(function, "hello-00001", "", 1)
            await until(deployer, ready(1))
            await scale(deployer, 0)
            await until(deployer, lambda replicas: not replicas)
            return await texts_of(deployer)

    (line,) = asyncio.run(scenario())
    assert line.endswith("hi hello-00001")
    assert "SECRET_TOKEN" not in line and "PATH" in line


def test_in_a_folder_too_deep_for_a_socket_a_replica_gets_a_port_alone(data: Path) -> None:
    deep = data / ("d" * 60) / ("e" * 60)
    without = """
import os, json, socket
assert "CLOUDBASE_SOCKET" not in os.environ
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
os.write(int(os.environ["CLOUDBASE_READY_FD"]), json.dumps({"listening": "127.0.0.1:" + os.environ["PORT"]}).encode() + b"\\n")
server.accept()
"""

    async def scenario() -> None:
        async with deployed(deep, **program(whole=without)) as deployer:
            await scale(deployer, 1)
            assert (await until(deployer, ready(1)))[0].address.startswith("127.0.0.1:")

    asyncio.run(scenario())


def test_forgetting_a_function_ends_its_followers_and_deletes_its_logs(data: Path) -> None:
    async def scenario() -> None:
        async with deployed(data, **program("print('up', flush=True)")) as deployer:
            await scale(deployer, 1)
            await until(deployer, ready(1))

            async def follow() -> list[LogLine]:
                return [line async for line in deployer.logs("default", "hello", 10, True)]

            follower = asyncio.create_task(follow())
            await asyncio.sleep(0)
            await deployer.forget("default", "hello")

            assert [line.line for line in await asyncio.wait_for(follower, 5)] == ["up"]
            assert deployer.observe("default", "hello") == []
            assert not (data / "logs" / "hello").exists()

    asyncio.run(scenario())


def test_closing_ends_every_process_and_leaves_no_descriptor_open(data: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    async def scenario() -> list[int]:
        async with deployed(data, **program()) as deployer:
            await scale(deployer, 4)
            return [int(await get(replica.address)) for replica in await until(deployer, ready(4))]

    before = descriptors()
    pids = asyncio.run(scenario())

    assert not any(map(alive, pids))
    assert descriptors() == before


def test_an_artifact_that_is_not_there_is_told_and_not_a_break_down(data: Path) -> None:
    def launcher(function: Function, revision: str, app: Path, env: Mapping[str, str]) -> Launch:
        return Launch((sys.executable, "-c", ""), env, app)

    async def scenario() -> Replica:
        async with deployed(data, launcher=launcher) as deployer:
            await deployer.ensure(HELLO, "hello-00001", "gone", 1)
            return (await until(deployer, lambda replicas: replicas[0].restarts == 1))[0]

    assert "cannot be started: its build is gone" in asyncio.run(scenario()).message


def test_a_log_that_cannot_be_written_does_not_stop_its_function(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    flood = "line = 'x' * 999 + chr(10)\nfor _ in range(5_000): sys.stdout.write(line)\nsys.stdout.flush()"
    data.mkdir()
    (data / "logs").write_text("a file where the folder should be")

    async def scenario() -> None:
        async with deployed(data, **program(flood)) as deployer:
            await scale(deployer, 1)
            await until(deployer, ready(1))

    asyncio.run(scenario())
    assert "log lines of hello-00001" in caplog.text
