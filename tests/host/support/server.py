"""A test web service: says which code it is and which unit file started it, and misbehaves as its file `behaviour` says."""

import hashlib
import json
import os
import signal
import socketserver
import sys
import threading


def text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


CODE = text("body")
BEHAVIOUR = text("behaviour")
# The manifest names the release: its hash says from which tree this process runs.
with open(".relpack/manifest", "rb") as manifest:
    RELEASE = hashlib.sha256(manifest.read()).hexdigest()[:40]


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        words = self.rfile.readline(4096).decode("latin-1").split()
        while self.rfile.readline(4096) not in (b"\r\n", b"\n", b""):
            pass
        path = words[1] if len(words) > 1 else ""
        if path == "/healthz" and BEHAVIOUR == "never-healthy":
            self.answer("503 Service Unavailable", "not healthy\n")
        elif path == "/healthz":
            self.answer("200 OK", "ok\n")
        else:
            about = {"code": CODE, "unit": os.environ.get("UNIT"), "pid": os.getpid(), "release": RELEASE}
            self.answer("200 OK", json.dumps(about) + "\n")

    def answer(self, status, body):
        head = f"HTTP/1.0 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.wfile.write((head + body).encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128


if BEHAVIOUR == "exit-at-once":
    print("cannot read the settings", file=sys.stderr)
    sys.exit(4)

server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
if BEHAVIOUR == "die-after-3s":
    threading.Timer(3, lambda: os._exit(5)).start()
print(f"serving {CODE}", flush=True)
# How long a stop may go unnoticed.
server.serve_forever(poll_interval=0.05)
server.server_close()
