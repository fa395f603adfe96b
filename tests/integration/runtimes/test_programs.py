"""Programs that listen by themselves, commands, and the rules by which a folder's form is found."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.shared.function_process import FunctionProcess, eventually, function, interpreter

LISTEN = "require('http').createServer((q, r) => r.end('program')).listen(process.env.PORT, process.env.HOST)"
SERVE = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"program")

HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Answer).serve_forever()
"""


def test_scripts_start_with_node_runs_that_file_as_the_main_program(tmp_path: Path) -> None:
    manifest = json.dumps({"main": "other.js", "scripts": {"start": "node lib.js"}})
    text = f"if (require.main !== module) throw new Error('not main'); {LISTEN}"
    with function("node", tmp_path, package__json=manifest, lib__js=text) as process:
        assert process.request().body == b"program"


def test_a_file_guarded_by_require_main_is_run_as_the_main_program(tmp_path: Path) -> None:
    with function("node", tmp_path, index__js=f"if (require.main === module) {{ {LISTEN} }}") as process:
        assert process.request().body == b"program"
        assert process.ready == {"listening": f"127.0.0.1:{process.port}"}


def test_an_application_that_is_exported_and_guarded_is_called_and_not_started(tmp_path: Path) -> None:
    text = f"module.exports = (q, r) => r.end('called'); if (require.main === module) {{ {LISTEN} }}"
    with function("node", tmp_path, index__js=text) as process:
        assert process.request().body == b"called"


def test_a_program_that_listens_and_exports_is_left_to_itself(tmp_path: Path) -> None:
    with function("node", tmp_path, index__js=f"module.exports = (q, r) => r.end('called'); {LISTEN}") as process:
        assert process.request().body == b"program"


def test_a_program_that_listens_after_a_while_is_waited_for(tmp_path: Path) -> None:
    with function("node", tmp_path, index__js=f"setTimeout(() => {LISTEN}, 100)") as process:
        assert process.ready == {"probe": f"127.0.0.1:{process.port}"}
        assert process.request().body == b"program"


def test_an_exported_server_is_served_as_it_is(tmp_path: Path) -> None:
    text = "module.exports = require('http').createServer((q, r) => r.end('server'))"
    with function("node", tmp_path, index__js=text) as process:
        assert process.request().body == b"server"
        assert process.ready == {"listening": f"unix:{process.socket}"}
        assert process.request("/_cloudbase/health", router=False).json() == {"status": "ok"}


@pytest.mark.parametrize(
    "text",
    [
        "class App { callback() { return (q, r) => r.end('shape') } listen() {} } module.exports = new App()",
        "module.exports = { ready: async () => {}, routing: (q, r) => r.end('shape') }",
        "exports.__esModule = true; exports.default = (q, r) => r.end('shape')",
    ],
    ids=["Koa", "Fastify", "compiled ES module"],
)
def test_frameworks_are_told_by_their_shape(text: str, tmp_path: Path) -> None:
    with function("node", tmp_path, index__js=text) as process:
        assert process.request().body == b"shape"


def test_entry_names_a_file_and_an_export(tmp_path: Path) -> None:
    (tmp_path / "lib.js").write_text("exports.greet = async (event) => `greet ${event.path}`")
    with FunctionProcess("node", tmp_path, entry="lib.js:greet") as process:
        assert process.request("/x").body == b"greet /x"


@pytest.mark.parametrize("entry", ["lib.py:greet", "lib:greet", "package.inner:greet"])
def test_entry_names_a_python_file_or_module_and_a_name_in_it(entry: str, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    for file in (tmp_path / "lib.py", tmp_path / "package" / "inner.py"):
        file.write_text("def greet(request):\n    return f'greet {request.path}'\n")
    with FunctionProcess("python", tmp_path, entry=entry) as process:
        assert process.request("/x").body == b"greet /x"


def test_a_python_file_without_a_known_name_is_run_as_the_main_program(tmp_path: Path) -> None:
    with function("python", tmp_path, main__py=SERVE) as process:
        assert process.ready == {"probe": f"127.0.0.1:{process.port}"}
        assert process.request().body == b"program"
        process.terminate()
        assert process.exit_code() == 0


def commands() -> list[tuple[str, str]]:
    return [("node", f"{interpreter('node')} program.js"), ("python", f"{interpreter('python')} program.py")]


@pytest.mark.parametrize(("runtime", "command"), commands(), ids=["node", "python"])
def test_a_command_is_run_in_a_shell_and_gets_sigterm(runtime: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "program.js").write_text(f"{LISTEN}; process.on('SIGTERM', () => {{ console.log('told'); process.exit(7) }})")
    told = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: (print('told', flush=True), sys.exit(7)))\n"
    (tmp_path / "program.py").write_text(told + SERVE)
    with FunctionProcess(runtime, tmp_path, entry=f"$ true && {command}; exit $?") as process:
        assert process.request().body == b"program"
        process.terminate()
        process.exit_code()
        eventually(lambda: _contains(process.stdout, "told"))


@pytest.mark.parametrize(("runtime", "command"), commands(), ids=["node", "python"])
def test_a_command_and_what_it_started_end_with_the_starter(runtime: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "program.js").write_text(f"{LISTEN}; require('fs').writeFileSync('pid', String(process.pid))")
    (tmp_path / "program.py").write_text(f"import os; open('pid', 'w').write(str(os.getpid()))\n{SERVE}")
    with FunctionProcess(runtime, tmp_path, entry=f"$ {command} & wait") as process:
        process.request()
        pid = int((tmp_path / "pid").read_text())
        process.orphan()
        assert process.exit_code() == 0
        eventually(lambda: _is_gone(pid))


def _contains(text: str, part: str) -> None:
    assert part in text


def _is_gone(pid: int) -> None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return
    stat = Path(f"/proc/{pid}/stat")
    assert stat.exists()
    assert stat.read_text().rpartition(")")[2].split()[0] == "Z", "still running"


def test_installed_packages_are_found_and_the_functions_own_files_come_first(tmp_path: Path) -> None:
    packages = tmp_path / ".packages"
    packages.mkdir()
    (packages / "dep.py").write_text("NAME = 'installed'")
    (packages / "server.py").write_text("NAME = 'installed'")
    (tmp_path / "server.py").write_text("NAME = 'own'")
    (tmp_path / "http1.py").write_text("raise RuntimeError('the runtime imported a file of the function')")
    text = "import dep, server\n\ndef handler(request):\n    return [dep.NAME, server.NAME]\n"
    with function("python", tmp_path, main__py=text) as process:
        assert process.request().json() == ["installed", "own"]


def test_an_unhandled_rejection_ends_its_own_request_and_no_other(tmp_path: Path) -> None:
    text = """
    module.exports = (req, res) => {
      if (req.url === '/reject') return void Promise.resolve().then(() => { throw new Error('forgotten') });
      res.end('fine');
    };"""
    with function("node", tmp_path, index__js=text) as process:
        assert process.request("/reject").status == 500
        assert process.request("/").body == b"fine"
        assert "unhandled rejection" in process.stderr
        assert "[req-1]" in process.stderr


def test_an_uncaught_exception_lets_the_others_finish_and_ends_the_process(tmp_path: Path) -> None:
    text = """
    module.exports = (req, res) => {
      if (req.url === '/crash') return void setTimeout(() => { throw new Error('forgotten') }, 50);
      console.log('slow'); setTimeout(() => res.end('fine'), 300);
    };"""
    from concurrent.futures import ThreadPoolExecutor

    with function("node", tmp_path, index__js=text) as process, ThreadPoolExecutor(1) as pool:
        other = pool.submit(process.request, "/other")
        eventually(lambda: _contains(process.stdout, "slow"))
        assert process.request("/crash").status == 500
        assert other.result().body == b"fine"
        assert process.exit_code() == 1
        assert "uncaught exception" in process.stderr
