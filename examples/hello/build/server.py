"""A small web application: greets, counts its visits, says which release it is, and leaves no request unanswered when it stops."""

import hashlib
import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import store

VERSION = Path("VERSION").read_text(encoding="utf-8").strip()


def release():
    """The release's id is the hash of its manifest; outside of a host there is none."""
    manifest = Path(".relpack/manifest")
    if not manifest.exists():
        return "unpacked"
    return hashlib.sha256(manifest.read_bytes()).hexdigest()[:40]


RELEASE = release()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/healthz":
            with store.connect() as database:
                store.visits(database)
            self.answer(200, {"status": "ok"})
        elif url.path == "/":
            # ?delay=2 makes a request that is still in flight when the service is stopped.
            threading.Event().wait(min(float(parse_qs(url.query).get("delay", ["0"])[0]), 20))
            with store.connect() as database:
                visits = store.visit(database, self.client_address[0])
            self.answer(200, {"greeting": os.environ["GREETING"], "version": VERSION, "release": RELEASE, "visits": visits})
        else:
            self.answer(404, {"error": "not found"})

    def answer(self, status, value):
        body = (json.dumps(value) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        if self.path != "/healthz":
            super().log_message(format, *args)


class Server(ThreadingHTTPServer):
    # Requests in flight are waited for; the unit's TimeoutStopSec bounds that.
    daemon_threads = False
    block_on_close = True

    def drain(self):
        """Answers what the kernel has already accepted for us, then waits for every request in flight."""
        self.socket.setblocking(False)
        while True:
            try:
                request, client = self.get_request()
            except BlockingIOError:
                break
            request.setblocking(True)
            self.process_request(request, client)
        self.server_close()


def main():
    server = Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler)
    # shutdown() waits for the loop that a signal handler interrupts, so it needs a thread of its own.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"hello {VERSION} serves on port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.drain()
    print("every request is answered", flush=True)


if __name__ == "__main__":
    main()
