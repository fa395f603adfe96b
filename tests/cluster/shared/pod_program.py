"""What runs in the pods of Deployments that the router's tests are about: a small HTTP server that can take its time."""

from __future__ import annotations

PROBE = '{"httpGet": {"path": "/ready", "port": 8080}}'  # of the program below

# Ends on SIGTERM with what is in flight finished, as a program in a cluster should. READY_AFTER: listens at once, 503 on /ready
# until so many seconds have gone by, and counts what else came before. It tells how many requests it ever had at the same time.
PROGRAM = """
import json, os, signal, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEGAN, AFTER = time.monotonic(), float(os.environ.get("READY_AFTER", "0"))
early = now = most = 0
counting = threading.Lock()

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one piece, or the second waits for the first one's delayed ACK
    def do_GET(self):
        global early, now, most
        ready = time.monotonic() - BEGAN >= AFTER
        if self.path.startswith("/ready"):
            return self.answer(200 if ready else 503, b"ready" if ready else b"not yet")
        early += not ready
        with counting:
            now += 1
            most = max(most, now)
        time.sleep(float(os.environ.get("WORK", "0")))
        with counting:
            now -= 1
        said = {"pod": os.environ["HOSTNAME"], "early": early, "path": self.path, "most": most}
        self.answer(200, json.dumps(said).encode())
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = False
    block_on_close = False

server = Server(("", 8080), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(0.05)
os._exit(0)
"""
