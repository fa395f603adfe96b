"""One function with the same paths in every form that has a server of ours under it: what the behaviour tests call."""

from __future__ import annotations

NODE_LISTENER = """
const { existsSync } = require('node:fs');
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
module.exports = async (req, res) => {
  const url = new URL(req.url, 'http://x');
  console.log('called', url.pathname);
  if (url.pathname === '/throw') throw new Error('secret of the function');
  if (url.pathname === '/late') { res.write('half'); await sleep(20); throw new Error('secret of the function'); }
  if (url.pathname === '/held') { while (!existsSync('let-go')) await sleep(5); return res.end('held'); }
  if (url.pathname === '/slow') { await sleep(Number(url.searchParams.get('ms'))); return res.end('slow'); }
  if (url.pathname === '/size') {
    let size = 0;
    for await (const piece of req) size += piece.length;
    return res.end(String(size));
  }
  if (url.pathname === '/big') {
    const piece = Buffer.alloc(65536, 'x');
    for (let i = 0; i < Number(url.searchParams.get('mib')) * 16; i++) {
      if (!res.write(piece)) await new Promise((done) => res.once('drain', done));
    }
    return res.end();
  }
  if (url.pathname === '/ticks') {
    for (let i = 0; i < 3; i++) { if (i) await sleep(300); res.write(`tick ${i}\\n`); }
    return res.end();
  }
  res.setHeader('content-type', 'text/plain');
  res.end(`${req.method} ${req.url}`);
};
"""

NODE_PROGRAM = (
    NODE_LISTENER.replace("module.exports = async", "const answer = async")
    + """
require('http')
  .createServer((req, res) => answer(req, res).catch((error) => {
    console.error(error);
    res.headersSent ? res.destroy() : res.writeHead(500).end();
  }))
  .listen(process.env.PORT, process.env.HOST);
"""
)

NODE_HANDLER = """
const { existsSync } = require('node:fs');
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
async function* late() { yield 'half'; await sleep(20); throw new Error('secret of the function'); }
async function* ticks() { for (let i = 0; i < 3; i++) { if (i) await sleep(300); yield `tick ${i}\\n`; } }
exports.handler = async (event) => {
  console.log('called', event.path);
  if (event.path === '/throw') throw new Error('secret of the function');
  if (event.path === '/late') return late();
  if (event.path === '/held') { while (!existsSync('let-go')) await sleep(5); return 'held'; }
  if (event.path === '/slow') { await sleep(Number(event.query.ms)); return 'slow'; }
  if (event.path === '/size') return String(event.rawBody.length);
  if (event.path === '/ticks') return ticks();
  return { statusCode: 200, headers: { 'content-type': 'text/plain' }, body: `${event.method} ${event.path}` };
};
"""

PYTHON_HANDLER = """
import os
import time

def late():
    yield "half"
    time.sleep(0.02)
    raise RuntimeError("secret of the function")

def ticks():
    for number in range(3):
        if number:
            time.sleep(0.3)
        yield f"tick {number}\\n"

def handler(request):
    print("called", request.path)
    if request.path == "/throw":
        raise RuntimeError("secret of the function")
    if request.path == "/late":
        return late()
    if request.path == "/held":
        while not os.path.exists("let-go"):
            time.sleep(0.005)
        return "held"
    if request.path == "/slow":
        time.sleep(int(request.query["ms"]) / 1000)
        return "slow"
    if request.path == "/size":
        return str(len(request.body))
    if request.path == "/ticks":
        return ticks()
    return f"{request.method} {request.path}"
"""

PYTHON_ASYNC = (
    PYTHON_HANDLER.replace("import time", "import asyncio")
    .replace("def late", "async def late")
    .replace("def ticks", "async def ticks")
    .replace("def handler", "async def handler")
    .replace("time.sleep", "await asyncio.sleep")
)

PYTHON_WSGI = """
import os
import time
from urllib.parse import parse_qs

def late():
    yield b"half"
    time.sleep(0.02)
    raise RuntimeError("secret of the function")

def ticks():
    for number in range(3):
        if number:
            time.sleep(0.3)
        yield b"tick %d\\n" % number

def big(mib):
    for _ in range(mib * 16):
        yield b"x" * 65536

def app(environ, start_response):
    path, query = environ["PATH_INFO"], parse_qs(environ["QUERY_STRING"])
    print("called", path)
    if path == "/throw":
        raise RuntimeError("secret of the function")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/late":
        return late()
    if path == "/held":
        while not os.path.exists("let-go"):
            time.sleep(0.005)
        return [b"held"]
    if path == "/slow":
        time.sleep(int(query["ms"][0]) / 1000)
        return [b"slow"]
    if path == "/size":
        size = 0
        while piece := environ["wsgi.input"].read(65536):
            size += len(piece)
        return [str(size).encode()]
    if path == "/big":
        return big(int(query["mib"][0]))
    if path == "/ticks":
        return ticks()
    return [f"{environ['REQUEST_METHOD']} {path}".encode()]
"""

PYTHON_ASGI = """
import asyncio
import os
from urllib.parse import parse_qs

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    path, query = scope["path"], parse_qs(scope["query_string"].decode())
    print("called", path)

    async def put(piece, more=True):
        await send({"type": "http.response.body", "body": piece, "more_body": more})

    if path == "/throw":
        raise RuntimeError("secret of the function")
    size = 0
    if path == "/size":
        while True:
            message = await receive()
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                break
    while path == "/held" and not os.path.exists("let-go"):
        await asyncio.sleep(0.005)
    if path == "/slow":
        await asyncio.sleep(int(query["ms"][0]) / 1000)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if path == "/late":
        await put(b"half")
        await asyncio.sleep(0.02)
        raise RuntimeError("secret of the function")
    if path == "/big":
        for _ in range(int(query["mib"][0]) * 16):
            await put(b"x" * 65536)
    if path == "/ticks":
        for number in range(3):
            if number:
                await asyncio.sleep(0.3)
            await put(b"tick %d\\n" % number)
    last = {"/size": str(size), "/slow": "slow", "/held": "held", "/big": "", "/ticks": ""}
    await put(last.get(path, f"{scope['method']} {path}").encode(), more=False)
"""

# form -> (runtime, file, its text)
FORMS = {
    "node-listener": ("node", "index.js", NODE_LISTENER),
    "node-handler": ("node", "index.js", NODE_HANDLER),
    "node-program": ("node", "index.js", NODE_PROGRAM),
    "python-handler": ("python", "main.py", PYTHON_HANDLER),
    "python-async": ("python", "main.py", PYTHON_ASYNC),
    "python-wsgi": ("python", "main.py", PYTHON_WSGI),
    "python-asgi": ("python", "main.py", PYTHON_ASGI),
}
STREAMING_IN = ("node-listener", "python-wsgi", "python-asgi")  # read and write bodies of any size with little memory
