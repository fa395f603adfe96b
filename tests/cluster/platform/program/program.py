"""An ordinary program: listens on $PORT, says who it is, finishes what is in flight at SIGTERM; with $EXIT it only fails."""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if "EXIT" in os.environ:
    print("cannot reach the database at db:5432", file=sys.stderr)
    sys.exit(int(os.environ["EXIT"]))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"pod": os.environ["HOSTNAME"], "path": self.path, "word": os.environ.get("WORD", "")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = False
    block_on_close = False


server = Server(("", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(0.05)
os._exit(0)
