"""A caller that goes away: the function can notice, what it streams is stopped, and the process goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shared.function_process import FunctionProcess, eventually, function

NODE_LISTENER = """
module.exports = (req, res) => {
  res.on('close', () => console.log(res.writableFinished ? 'done' : 'noticed'));
  if (req.url === '/wait') return res.write('begun');
  res.end('fine');
};"""

NODE_HANDLER = """
exports.handler = (event, context) => {
  if (event.path !== '/wait') return 'fine';
  return (async function* () {
    yield 'begun';
    await new Promise((done) => context.signal.addEventListener('abort', done));
    console.log('noticed');
  })();
};"""

PYTHON_GENERATOR = """
import time

def forever():
    try:
        while True:
            yield "begun"
            time.sleep(0.02)
    finally:
        print("noticed")

def handler(request):
    return forever() if request.path == "/wait" else "fine"
"""

PYTHON_ASYNC_GENERATOR = (
    PYTHON_GENERATOR.replace("import time", "import asyncio")
    .replace("def ", "async def ")
    .replace("time.sleep", "await asyncio.sleep")
)

PYTHON_WSGI = """
import time

class Forever:
    def __iter__(self):
        while True:
            yield b"begun"
            time.sleep(0.02)

    def close(self):
        print("noticed")

def app(environ, start_response):
    start_response("200 OK", [])
    return Forever() if environ["PATH_INFO"] == "/wait" else [b"fine"]
"""

PYTHON_ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/wait":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        print("noticed" if (await receive())["type"] == "http.disconnect" else "confused")
    else:
        await send({"type": "http.response.body", "body": b"fine"})
"""

CASES = {
    "node-listener": NODE_LISTENER,
    "node-handler": NODE_HANDLER,
    "python-generator": PYTHON_GENERATOR,
    "python-async-generator": PYTHON_ASYNC_GENERATOR,
    "python-wsgi": PYTHON_WSGI,
    "python-asgi": PYTHON_ASGI,
}


@pytest.mark.parametrize("case", CASES)
def test_a_caller_that_leaves_inside_an_answer_is_noticed_and_harms_nobody(case: str, tmp_path: Path) -> None:
    runtime = case.split("-")[0]
    with function(runtime, tmp_path, **{"index__js" if runtime == "node" else "main__py": CASES[case]}) as process:
        with process.connect() as caller:
            caller.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: a\r\n\r\n")
            received = b""
            while b"begun" not in received:
                received += caller.recv(65536)
        eventually(lambda: _noticed(process))
        assert process.request("/").body == b"fine"
        assert process.stderr == ""
        process.terminate()
        assert process.exit_code() == 0


@pytest.mark.parametrize("case", CASES)
def test_a_caller_that_leaves_inside_its_request_harms_nobody(case: str, tmp_path: Path) -> None:
    runtime = case.split("-")[0]
    with function(runtime, tmp_path, **{"index__js" if runtime == "node" else "main__py": CASES[case]}) as process:
        with process.connect() as caller:
            caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: a\r\nContent-Length: 10\r\n\r\nhalf")
        assert process.request("/").body == b"fine"
        process.terminate()
        assert process.exit_code() == 0
        assert "Traceback" not in process.stderr


def _noticed(process: FunctionProcess) -> None:
    assert "noticed" in process.stdout
