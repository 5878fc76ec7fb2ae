"""A web service that takes its time: slow to start, slow answers, long uploads, and a drain on SIGTERM."""

import asyncio
import os
import signal
import sys
import time


def text(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


CODE = text("body")
BEHAVIOUR = text("behaviour")
draining = False
busy = 0
connections = set()


async def handle(reader, writer):
    global busy
    connections.add(writer)
    try:
        while True:
            line = await reader.readline()
            if not line:
                return
            method, target, _ = line.decode().split(" ", 2)
            length, keep = 0, True
            while (header := await reader.readline()) not in (b"\r\n", b""):
                name, _, value = header.decode().lower().partition(":")
                if name == "content-length":
                    length = int(value)
                if name == "connection" and "close" in value:
                    keep = False
            busy += 1
            try:
                got = 0
                while got < length:
                    part = await reader.read(min(65536, length - got))
                    if not part:
                        return
                    got += len(part)
                if "ms=" in target:
                    await asyncio.sleep(int(target.split("ms=")[1]) / 1000)
                status = "200 OK"
                if BEHAVIOUR == "broken" or (target == "/healthz" and BEHAVIOUR == "never-healthy"):
                    status = "503 Unavailable"
                body = f"{CODE} {os.environ['PORT']} {got}\n".encode()
                keep = keep and not draining
                head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: {'keep-alive' if keep else 'close'}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
            finally:
                busy -= 1
            if not keep:
                return
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        connections.discard(writer)
        writer.close()


async def main():
    global draining
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if BEHAVIOUR == "exit-at-once":
        sys.exit(4)
    await asyncio.sleep(float(os.environ.get("START_UP", "2")))
    server = await asyncio.start_server(handle, "127.0.0.1", int(os.environ["PORT"]), backlog=512)
    if BEHAVIOUR == "die-after-5s":
        asyncio.get_running_loop().call_later(5, os._exit, 5)
    print(f"serving {CODE}", flush=True)
    await stop.wait()
    if BEHAVIOUR == "rude":
        os._exit(0)
    draining = True
    server.close()
    until = time.monotonic() + 20
    while busy and time.monotonic() < until:
        await asyncio.sleep(0.02)
    for writer in list(connections):
        writer.close()


asyncio.run(main())
