"""The local deployer with real processes: how many run, who leaves first, what they may take and see, how they end."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

import pytest

from controller.model import Function, FunctionSpec, Resources
from controller.ports import Replica
from tests.integration.controller_local.local_world import deployed, eventually, get, make_function, ready, texts_of, until
from tests.integration.controller_local.small_programs import HELLO, alive, program, scale


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
