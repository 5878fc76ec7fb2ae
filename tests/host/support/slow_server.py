"""A web service that takes its time: slow to start, slow answers, long uploads, and a drain on SIGTERM. It listens on its port,
or takes the socket that systemd hands over."""

import asyncio
import os
import signal
import socket
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
# Accepted, and not yet asked for anything.
fresh = set()
asked = 0


def ready():
    """What the balancer hears."""
    global asked
    asked += 1
    if BEHAVIOUR in ("never-healthy", f"never-healthy-{os.environ.get('PORT')}"):
        return False
    if BEHAVIOUR == "every-third" and asked % 3 == 0:
        return False
    duck = os.environ.get("RELPACK_LAME_DUCK")
    return not (duck and os.path.exists(duck))


async def upgraded(writer):
    """No WebSocket by the letter, but what a proxy sees of one."""
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    while True:
        writer.write(f"{CODE}\n".encode())
        await writer.drain()
        await asyncio.sleep(0.2)


async def handle(reader, writer):
    global busy
    connections.add(writer)
    fresh.add(writer)
    try:
        while True:
            line = await reader.readline()
            if not line:
                return
            method, target, _ = line.decode().split(" ", 2)
            length, keep, upgrade = 0, True, False
            while (header := await reader.readline()) not in (b"\r\n", b""):
                name, _, value = header.decode().lower().partition(":")
                if name == "content-length":
                    length = int(value)
                if name == "connection" and "close" in value:
                    keep = False
                upgrade = upgrade or name == "upgrade"
            if upgrade:
                fresh.discard(writer)
                await upgraded(writer)
            busy += 1
            fresh.discard(writer)
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
                if BEHAVIOUR == "broken" or (target == "/healthz" and not ready()):
                    status = "503 Unavailable"
                if target == "/health/late" and BEHAVIOUR == "refuses":
                    status = "503 Unavailable"
                if target == "/health/late":
                    await asyncio.sleep(1.5 if BEHAVIOUR == "late" else 0)
                # Which code it is, which instance (or which unit started it), and what was uploaded.
                third = os.environ.get("UNIT") if target == "/who" else got
                body = f"{CODE} {os.environ.get('PORT')} {third}\n".encode()
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
        fresh.discard(writer)
        writer.close()


async def main():
    global draining
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if BEHAVIOUR == "exit-at-once":
        sys.exit(4)
    await asyncio.sleep(float(os.environ.get("START_UP", "2")))
    if os.environ.get("LISTEN_FDS"):
        server = await asyncio.start_server(handle, sock=socket.socket(fileno=3), backlog=4096)
    else:
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
    while (busy or fresh) and time.monotonic() < until:
        await asyncio.sleep(0.02)
    # Who keeps a connection hears with the next answer that it ends; who doesn't ask any more is not waited for.
    until = time.monotonic() + 1
    while (busy or connections) and (busy or time.monotonic() < until):
        await asyncio.sleep(0.02)
    for writer in list(connections):
        writer.close()


asyncio.run(main())
