"""Functions that the end-to-end tests deploy: name of the test's function -> its files."""

from __future__ import annotations

from pathlib import Path

# Says which process answered; ?ms= waits that long first, ?exit ends the process with a status.
PID = {
    "main.py": """
import asyncio, os

async def handler(request):
    if "exit" in request.query:
        os._exit(int(request.query["exit"]))
    await asyncio.sleep(int(request.query.get("ms", "0")) / 1000)
    return str(os.getpid())
"""
}

# POST: counts the bytes of the body. GET ?bytes=: sends that many, no faster than they are taken.
BULK = {
    "index.js": """
const { Readable } = require('node:stream');
const piece = Buffer.alloc(1 << 18, 'x');

function* pieces(left) {
  for (; left > 0; left -= piece.length) yield left < piece.length ? piece.subarray(0, left) : piece;
}

module.exports = (req, res) => {
  if (req.method === 'POST') {
    let got = 0;
    req.on('data', (data) => { got += data.length; }).on('end', () => res.end(String(got)));
    return;
  }
  const bytes = Number(new URL(req.url, 'http://localhost').searchParams.get('bytes'));
  res.setHeader('content-length', bytes);
  Readable.from(pieces(bytes)).pipe(res);
};
"""
}

# A WebSocket that echoes.
ECHO = {
    "app.py": """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text")})
"""
}


def write(folder: Path, files: dict[str, str], settings: str = "") -> Path:
    """A function's folder with these files and this cloudbase.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (files | ({"cloudbase.toml": settings} if settings else {})).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
