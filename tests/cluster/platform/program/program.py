"""An ordinary program: listens on $PORT, says who it is and who asks, finishes what is in flight at SIGTERM.

With $EXIT it only fails, with $MUTE it says that and never listens, with $HOST it listens there alone.
/socket is a WebSocket that says again what it is told, /events a stream of events without an end.
"""

import base64
import hashlib
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if "EXIT" in os.environ:
    print("cannot reach the database at db:5432", file=sys.stderr)
    sys.exit(int(os.environ["EXIT"]))
if "MUTE" in os.environ:
    print(os.environ["MUTE"])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # a container's first process would not get it otherwise
    signal.sigwait({signal.SIGTERM})
    sys.exit()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/socket"):
            self.socket()
        elif self.path.startswith("/events"):
            self.events()
        else:
            self.who()

    def who(self) -> None:
        said = {"pod": os.environ["HOSTNAME"], "path": self.path, "word": os.environ.get("WORD", "")}
        body = json.dumps({**said, "client": self.client_address[0]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def events(self) -> None:
        """Ends with the client: writing fails then."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        while True:
            self.wfile.write(f"data: {self.client_address[0]}\n\n".encode())
            time.sleep(0.1)

    def socket(self) -> None:
        """RFC 6455 with short messages in one frame each, which is all that its clients send."""
        self.close_connection = True
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while len(head := self.rfile.read(2)) == 2:
            mask = self.rfile.read(4)
            said = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(head[1] & 0x7F)))
            kind = head[0] & 0x0F
            if kind == 1:
                said = json.dumps({"said": said.decode(), "client": self.client_address[0]}).encode()
            self.wfile.write(bytes([0x80 | (10 if kind == 9 else kind), len(said)]) + said)
            if kind == 8:
                return

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = False
    block_on_close = False


host, port = os.environ.get("HOST", ""), int(os.environ["PORT"])
server = Server((host, port), Handler)
print(f"listening on {host}:{port}")
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(0.05)
os._exit(0)
