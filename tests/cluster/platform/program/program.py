"""An ordinary program: listens on $PORT, says who it is, finishes what is in flight at SIGTERM.

With $EXIT it only fails, with $MUTE it says that and never listens, with $HOST it listens there alone.
"""

import json
import os
import signal
import sys
import threading
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


host, port = os.environ.get("HOST", ""), int(os.environ["PORT"])
server = Server((host, port), Handler)
print(f"listening on {host}:{port}")
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(0.05)
os._exit(0)
